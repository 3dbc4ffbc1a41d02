/** Rules that no mail reaches, since one before them takes all that they would. Says so only when that is sure: tables whose content may change prove nothing. */

import type { Config, Rule, RuleFrom, TableTest } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { shown } from "../config/values.ts";
import { type Contents, placeText } from "./entries.ts";
import { EXCEPT, type Network, parseNetwork } from "../net/mod.ts";
import { type Service, type Table } from "../tables/mod.ts";

/** A list with more entries is not looked through entry by entry. */
const MAX_PARTS = 200;

/** Criteria of which each entry of a list is a part of the rule's mail. */
const PARTED = ["for", "from", "rcptTo"] as const;

/** `file:line: warning: …` for each rule that never has its turn. */
export function unreachableWarnings(config: Config, contents: Contents): string[] {
  const warnings: string[] = [];
  const known = new Known(contents);
  for (const [index, rule] of config.rules.entries()) {
    const takers = takersOf(config.rules.slice(0, index), rule, known);
    const place = placeText(rule.at);
    if (takers.length > 0) {
      const places = takers.map(({ at }) => at.file === rule.at.file ? `line ${at.line}` : placeText(at));
      const which = places.length === 1 ? `the one in ${places[0]} takes` : `those in ${places.join(" and ")} take`;
      warnings.push(
        `${place}: warning: no mail reaches this rule: ${which} all of it; the first rule that fits counts`,
      );
    } else if (hasNoListener(config, rule, contents)) {
      const tags = contents.of(rule.tag!.table, rule.at)!.entries.map(({ key }) => `"${shown(key)}"`).join(", ");
      warnings.push(`${place}: warning: no mail reaches this rule: no listener has the tag ${tags}`);
    }
  }
  return warnings;
}

/** Rules of those before that take together what `rule` would, none when some of it is left. */
function takersOf(before: readonly Rule[], rule: Rule, known: Known): readonly Rule[] {
  const whole = before.find((one) => covers(one, rule, known));
  if (whole !== undefined) return [whole];
  for (const criterion of PARTED) {
    const keys = known.keysOf(testOf(rule, criterion));
    if (keys === null || keys.length < 2 || keys.length > MAX_PARTS) continue;
    const takers = keys.map((key) => before.find((one) => covers(one, rule, known, { criterion, key })));
    if (takers.every((one) => one !== undefined)) return before.filter((one) => takers.includes(one));
  }
  return [];
}

function testOf(rule: Rule, criterion: typeof PARTED[number]): TableTest | null {
  if (criterion === "from") return rule.from.kind === "source" ? rule.from : null;
  return criterion === "for" ? rule.for : rule.rcptTo;
}

/** What the tables hold that cannot change while the daemon runs, each looked at once. */
class Known {
  readonly #contents: Contents;
  readonly #tables = new Map<string, { readonly table: Table; readonly keys: ReadonlySet<string> } | null>();

  constructor(contents: Contents) {
    this.#contents = contents;
  }

  get(name: string): { readonly table: Table; readonly keys: ReadonlySet<string> } | null {
    let found = this.#tables.get(name);
    if (found === undefined) {
      const table = this.#contents.isStatic(name) ? this.#contents.table(name) : null;
      found = table === null ? null : { table, keys: new Set(this.#contents.keys(name)) };
      this.#tables.set(name, found);
    }
    return found;
  }

  /** The entries of which one must match; null when that cannot be determined. */
  keysOf(test: TableTest | null): readonly string[] | null {
    if (test === null || test.negated || test.regex) return null;
    const keys = this.get(test.table)?.keys;
    // What a list of networks takes out only makes less of it.
    return keys === undefined ? null : [...keys].filter((key) => !key.startsWith(EXCEPT));
  }
}

/** One entry of a rule's list, looked at for itself. */
interface Part {
  readonly criterion: typeof PARTED[number];
  readonly key: string;
}

function hasNoListener({ listen }: Config, { tag }: Rule, contents: Contents): boolean {
  if (tag === null || tag.negated || tag.regex || !contents.isStatic(tag.table)) return false;
  const table = contents.table(tag.table);
  // The local socket is always there, and its tag is empty unless it is written.
  const tags = [...listen.map((spec) => spec.tag), ...listen.some(({ socket }) => socket) ? [] : [""]];
  return table !== null && !tags.some((one) => table.check("string", one) !== false);
}

/** Does `first` take every mail that `second` would, or that it would for one part of it? */
function covers(first: Rule, second: Rule, known: Known, part: Part | null = null): boolean {
  const keysOf = (criterion: Part["criterion"]) =>
    part?.criterion === criterion ? [part.key] : known.keysOf(testOf(second, criterion));
  const within = (one: TableTest | null, other: TableTest | null, service: Service) =>
    one === null || sameTest(one, other) || includes(one, known.keysOf(other), service, known);
  return within(first.tag, second.tag, "string") && coversFrom(first.from, second.from, keysOf("from"), known) &&
    coversFor(first, second, keysOf("for"), keysOf("rcptTo"), known) && within(first.helo, second.helo, "domain") &&
    coversAuth(first.auth, second.auth) &&
    (first.tls === null || (second.tls !== null && first.tls.negated === second.tls.negated)) &&
    within(first.mailFrom, second.mailFrom, "mailaddr") && within(first.mailAuth, second.mailAuth, "string") &&
    coversRcptTo(first, second, keysOf("for"), keysOf("rcptTo"), known);
}

/** Addresses of this machine, whatever else it has. */
const ALWAYS_LOCAL: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "[::1]", "local"]);

function coversFrom(first: RuleFrom, second: RuleFrom, keys: readonly string[] | null, known: Known): boolean {
  if (isAny(first)) return true;
  const local = first.kind === "source" && !first.negated && !first.regex && first.table === BUILTIN_TABLES.localHost;
  if (first.kind !== second.kind) return local && second.kind === "socket" && !second.negated;
  if (first.kind === "source" && second.kind === "source") {
    if (sameTest(first, second)) return true;
    if (local) return keys !== null && keys.length > 0 && keys.every((key) => ALWAYS_LOCAL.has(key));
    return includes(first, keys, "netaddr", known);
  }
  if (first.kind === "socket" && second.kind === "socket") return first.negated === second.negated;
  if (first.kind !== "rdns" || second.kind !== "rdns") return false;
  if (first.test === null || second.test === null) {
    return first.test === second.test && first.negated === second.negated;
  }
  if (first.negated !== second.negated) return false;
  if (sameTest(first.test, second.test)) return true;
  return !first.negated && includes(first.test, known.keysOf(second.test), "domain", known);
}

function isAny(from: RuleFrom): boolean {
  return from.kind === "source" && from.table === BUILTIN_TABLES.anyHost && !from.negated;
}

type Keys = readonly string[] | null;

/** By the domains of the second rule, or by those of its recipients. */
function coversFor(first: Rule, second: Rule, domains: Keys, recipients: Keys, known: Known): boolean {
  if (first.for.table === BUILTIN_TABLES.anyDestination && !first.for.negated) return true;
  if (sameTest(first.for, second.for) || includes(first.for, domains, "domain", known)) return true;
  const theirs = recipients?.map(domainOf) ?? [];
  return theirs.length > 0 &&
    theirs.every((domain) => domain !== null && includes(first.for, [domain], "domain", known));
}

/** By the recipients of the second rule, or by its domains where the first names all of a domain: `@example.org`. */
function coversRcptTo(first: Rule, second: Rule, domains: Keys, recipients: Keys, known: Known): boolean {
  if (first.rcptTo === null || sameTest(first.rcptTo, second.rcptTo)) return true;
  if (includes(first.rcptTo, recipients, "mailaddr", known)) return true;
  const { negated, regex, table } = first.rcptTo;
  if (negated || regex || domains === null || domains.length === 0) return false;
  return domains.every((domain) => known.get(table)?.keys.has(`@${domain}`) === true);
}

/** The domain of `user@example.org` and of `@example.org`; null for a key that may mean others too. */
function domainOf(key: string): string | null {
  return /^[^*@]*@([^*@!]+)$/.exec(key)?.[1] ?? null;
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

/** Does `first` match all that one of the entries `keys` matches? */
function includes(first: TableTest, keys: Keys, service: Service, known: Known): boolean {
  if (first.negated || first.regex || keys === null || keys.length === 0) return false;
  const own = known.get(first.table);
  if (own === null) return false;
  if (service === "netaddr") return includesNetworks([...own.keys], keys);
  return keys.every((key) => own.keys.has(key) || (isPlain(key, service) && own.table.check(service, key) === true));
}

function includesNetworks(own: readonly string[], keys: readonly string[]): boolean {
  // What is taken out may be what the other has.
  if (own.some((key) => key.startsWith(EXCEPT))) return false;
  const networks = own.flatMap((key) => parseNetwork(key) ?? []);
  return keys.every((key) => {
    const inner = parseNetwork(key);
    return inner === null ? own.includes(key) : networks.some((outer) => contains(outer, inner));
  });
}

function contains(outer: Network, inner: Network): boolean {
  if (outer.words.length !== inner.words.length || outer.bits > inner.bits) return false;
  return outer.words.every((word, index) => {
    const kept = Math.min(16, Math.max(0, outer.bits - index * 16));
    return ((word ^ inner.words[index]!) >> (16 - kept)) === 0;
  });
}

/** Does the key stand for itself alone? */
function isPlain(key: string, service: Service): boolean {
  return service === "mailaddr" ? /^[^*@]+@[^*@]+$/.test(key) : /^[^*!@]+$/.test(key);
}
