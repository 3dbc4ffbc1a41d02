/** Rules that no mail reaches, since one before them takes all that they would. Says so only when that is sure: tables whose content may change prove nothing. */

import { BUILTIN_TABLES, type Config, type Rule, type RuleFrom, shown, type TableTest } from "../config/mod.ts";
import { type Contents, placeText } from "./entries.ts";
import type { Service } from "../tables/mod.ts";

/** `file:line: warning: …` for each rule that never has its turn. */
export function unreachableWarnings(config: Config, contents: Contents): string[] {
  const warnings: string[] = [];
  for (const [index, rule] of config.rules.entries()) {
    const before = config.rules.slice(0, index).find((one) => covers(one, rule, contents));
    const place = placeText(rule.at);
    if (before !== undefined) {
      const { file, line } = before.at;
      const where = file === rule.at.file ? `line ${line}` : placeText(before.at);
      warnings.push(
        `${place}: warning: no mail reaches this rule: the one in ${where} takes all of it; the first rule that fits counts`,
      );
    } else if (hasNoListener(config, rule, contents)) {
      const tags = contents.of(rule.tag!.table, rule.at)!.entries.map(({ key }) => `"${shown(key)}"`).join(", ");
      warnings.push(`${place}: warning: no mail reaches this rule: no listener has the tag ${tags}`);
    }
  }
  return warnings;
}

function hasNoListener({ listen }: Config, { tag }: Rule, contents: Contents): boolean {
  if (tag === null || tag.negated || tag.regex || !contents.isStatic(tag.table)) return false;
  const table = contents.table(tag.table);
  // The local socket is always there, and its tag is empty unless it is written.
  const tags = [...listen.map((spec) => spec.tag), ...listen.some(({ socket }) => socket) ? [] : [""]];
  return table !== null && !tags.some((one) => table.check("string", one) !== false);
}

/** Does `first` take every mail that `second` would? */
function covers(first: Rule, second: Rule, contents: Contents): boolean {
  const within = (one: TableTest | null, other: TableTest | null, service: Service) =>
    one === null || (other !== null && includes(one, other, service, contents));
  return within(first.tag, second.tag, "string") && coversFrom(first.from, second.from, contents) &&
    coversFor(first.for, second.for, contents) && within(first.helo, second.helo, "domain") &&
    coversAuth(first.auth, second.auth) &&
    (first.tls === null || (second.tls !== null && first.tls.negated === second.tls.negated)) &&
    within(first.mailFrom, second.mailFrom, "mailaddr") && within(first.rcptTo, second.rcptTo, "mailaddr");
}

function coversFrom(first: RuleFrom, second: RuleFrom, contents: Contents): boolean {
  if (isAny(first)) return true;
  if (first.kind !== second.kind) {
    const local = first.kind === "source" && !first.negated && !first.regex && first.table === BUILTIN_TABLES.localHost;
    return local && second.kind === "socket" && !second.negated;
  }
  if (first.kind === "source" && second.kind === "source") return includes(first, second, "netaddr", contents);
  if (first.kind === "socket" && second.kind === "socket") return first.negated === second.negated;
  if (first.kind !== "rdns" || second.kind !== "rdns") return false;
  if (first.test === null || second.test === null) {
    return first.test === second.test && first.negated === second.negated;
  }
  return first.negated === second.negated && includes(first.test, second.test, "domain", contents);
}

function isAny(from: RuleFrom): boolean {
  return from.kind === "source" && from.table === BUILTIN_TABLES.anyHost && !from.negated;
}

function coversFor(first: TableTest, second: TableTest, contents: Contents): boolean {
  const any = first.table === BUILTIN_TABLES.anyDestination && !first.negated;
  return any || includes(first, second, "domain", contents);
}

function coversAuth(first: Rule["auth"], second: Rule["auth"]): boolean {
  if (first === null) return true;
  if (second === null || first.negated !== second.negated) return false;
  return first.test === null ? !first.negated || second.test === null : sameTest(first.test, second.test);
}

function sameTest(first: TableTest, second: TableTest | null): boolean {
  return second !== null && first.table === second.table && first.negated === second.negated &&
    first.regex === second.regex;
}

/** Is all that `second` matches matched by `first`? */
function includes(first: TableTest, second: TableTest, service: Service, contents: Contents): boolean {
  if (sameTest(first, second)) return true;
  if (first.negated || second.negated || first.regex || second.regex) return false;
  if (!contents.isStatic(first.table) || !contents.isStatic(second.table)) return false;
  const table = contents.table(first.table);
  const own = contents.of(first.table, { file: "", line: 0 }), keys = contents.of(second.table, { file: "", line: 0 });
  if (table === null || own === null || keys === null || keys.entries.length === 0) return false;
  const known = new Set(own.entries.map(({ key }) => key));
  return keys.entries.every(({ key }) =>
    known.has(key) || (isPlain(key, service) && table.check(service, key) === true)
  );
}

/** Does the key stand for itself alone? */
function isPlain(key: string, service: Service): boolean {
  if (service === "netaddr") return /^[0-9a-f.:]+$/i.test(key);
  if (service === "mailaddr") return /^[^*@]+@[^*@]+$/.test(key);
  return /^[^*!@]+$/.test(key);
}
