/** Keys of domains, addresses and networks that fit nothing: what stands behind `for domain`, `mail-from`, `helo` and the like. */

import { isIP } from "node:net";
import type { Config, Rule, SourceLine } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { testOf } from "../config/filter_condition.ts";
import { isNetwork, shown } from "../config/values.ts";
import { asciiDomain, isMailAuthKey, type MailAuthMethod, mailAuthWordsOf, unicodeDomain } from "../envelope/mod.ts";
import type { Contents, Entry } from "./entries.ts";
import type { MachineState } from "./machine.ts";

/** Looks at each entry of a table, once for each `what`. */
type Look = (
  what: string,
  name: string | null,
  at: SourceLine,
  judge: (entry: Entry) => string | null,
) => void;

/** Ends that are of domains, and hardly of names of people. */
const DOMAIN_END = /\.(?:com|org|net|edu|gov|mil|info|biz|dev|app|example|test|invalid|local|lan|home|[a-z]{2})$/i;

/** Has `look` judge the keys that rules, built-in filters and actions compare with. */
export function lookAtPatterns(
  config: Config,
  contents: Contents,
  machine: Pick<MachineState, "interfaceList">,
  look: Look,
): void {
  const builtin = new Set<string>(Object.values(BUILTIN_TABLES));
  const domains = (name: string, at: SourceLine) =>
    builtin.has(name) || look("domains", name, at, ({ key }) => domainFault(key));
  const addresses = (name: string, at: SourceLine) => look("addresses of", name, at, ({ key }) => addressFault(key));
  const networks = (name: string, at: SourceLine) =>
    builtin.has(name) || look("source", name, at, ({ key }) => networkFault(key, machine));
  const results = (method: MailAuthMethod, name: string, at: SourceLine) =>
    look(`results of ${method} in`, name, at, ({ key }) => {
      const known = mailAuthWordsOf(method);
      return known.includes(key) ? null : `"${shown(key)}" is no result of ${method}: these are ${known.join(", ")}`;
    });
  for (const { at, from, helo, mailFrom, rcptTo, mailAuth, for: destination } of config.rules) {
    if (from.kind === "source" && !from.regex) networks(from.table, at);
    const rdns = from.kind === "rdns" ? from.test : null;
    for (const test of [destination, helo, rdns]) if (test !== null && !test.regex) domains(test.table, at);
    if (mailAuth !== null) {
      look(
        "results in",
        mailAuth.table,
        at,
        ({ key }) =>
          isMailAuthKey(key) ? null : `"${shown(key)}" is no result, and fits none: write one as "dmarc=quarantine"`,
      );
    }
    for (const test of [mailFrom, rcptTo]) if (test !== null && !test.regex) addresses(test.table, at);
  }
  for (const step of Object.values(config.filters).flat()) {
    if (step.kind === "process") continue;
    const { condition, at } = step;
    const { kind } = condition, test = testOf(condition);
    if (test === null || test.regex) continue;
    if (kind === "src") networks(test.table, at);
    else if (kind === "mail-from" || kind === "rcpt-to") addresses(test.table, at);
    else if (kind === "spf" || kind === "dkim" || kind === "dmarc") results(kind, test.table, at);
    else if (kind !== "auth") domains(test.table, at);
  }
  for (const { at, senders } of config.listen) {
    look("senders", senders?.table ?? null, at, ({ key, value }) => {
      const faults = value.split(",").map((part) => part.trim()).flatMap((part) => addressFault(part) ?? []);
      return faults.length === 0 ? null : `an address of "${shown(key)}" fits nothing: ${faults[0]}`;
    });
  }
  lookAtVirtual(config, contents, look);
}

/** Why no domain fits a key; null when one can. */
export function domainFault(key: string): string | null {
  const quoted = `"${shown(key)}"`;
  if (key.startsWith("[") && key.endsWith("]")) return null;
  if (key.includes("\ufffd")) return `${quoted} is no domain: it holds bytes that are not UTF-8`;
  if (key.startsWith("@")) return `${quoted} is no domain, and fits none: write it without the "@"`;
  if (key.includes("@")) return `${quoted} is an address, and fits no domain: write it behind "rcpt-to" or "mail-from"`;
  if (/[,\s]/.test(key)) {
    return `${quoted} is no domain, and fits none: several are written { "a.example", "b.example" }`;
  }
  if (key.startsWith(".")) return `${quoted} fits no domain: all below a domain are "*${shown(key)}"`;
  const name = asciiDomain(key.replaceAll("*", "x").replace(/\.$/, ""));
  const valid = name !== null && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/i.test(name);
  if (!valid && isIP(key) === 0) return `${quoted} is no domain, and fits none`;
  return key.endsWith(".") ? `${quoted} fits no domain: write it without the dot at its end` : null;
}

/** Why no address fits a pattern such as `user@domain`, `@domain` or `user`, or not those that were meant; null when all is well. */
export function addressFault(key: string): string | null {
  const quoted = `"${shown(key)}"`;
  const at = key.lastIndexOf("@");
  const user = at < 0 ? key : key.slice(0, at), domain = key.slice(at + 1);
  if (key.includes("\ufffd")) return `${quoted} is no address: it holds bytes that are not UTF-8`;
  if (user.includes("*")) {
    const instead = at < 0 ? 'write "@" for everybody' : `write "@${shown(domain)}" for all of a domain`;
    return `${quoted} fits no address: a "*" in front of the "@" stands for itself: ${instead}`;
  }
  if (/[,\s]/.test(key) && !user.startsWith('"')) {
    return `${quoted} fits no address: several are written { "a@b.example", "@c.example" }`;
  }
  if (/^<.*>$/.test(key)) return `${quoted} fits no address: write it without "<" and ">"`;
  if (at < 0) {
    return DOMAIN_END.test(key)
      ? `${quoted} is a user of any domain: write "@${shown(key)}" for all of a domain`
      : null;
  }
  const fault = domain === "" ? null : domainFault(domain);
  return fault === null ? null : `${quoted} fits no address: ${fault}`;
}

function networkFault(key: string, machine: Pick<MachineState, "interfaceList">): string | null {
  if (isNetwork(key) || /^(?:local|!?\d+(?:\.\d+){0,2}(?:\/\d+)?|!?\[?ipv6:.*)$/i.test(key)) return null;
  // A name may be meant as that of an interface.
  const list = /^[a-z][a-z0-9_-]*$/i.test(key) ? machine.interfaceList() : "";
  return `"${shown(key)}" is no address or network: no client comes from it${list}`;
}

/** Keys of virtual tables whose domain no rule of the actions with that table takes. Says so only when that is sure. */
function lookAtVirtual(config: Config, contents: Contents, look: Look): void {
  for (const action of Object.values(config.actions)) {
    if (action.kind !== "local" || action.virtual === null) continue;
    const at = config.declared[`action ${action.name}`] ?? { file: config.file, line: 0 };
    const rules = config.rules.filter(({ outcome }) => {
      const other = outcome.kind === "action" ? config.actions[outcome.name] : undefined;
      return other?.kind === "local" && other.virtual === action.virtual;
    });
    const takes = domainsOf(rules, contents);
    look("virtual keys of", action.virtual, at, ({ key }) => {
      const domain = key.slice(key.lastIndexOf("@") + 1);
      if (!key.includes("@") || domain === "") return null;
      const fault = domainFault(domain);
      if (fault !== null) return `nobody has the address "${shown(key)}": ${fault}`;
      if (takes === null || takes(domain)) return null;
      return `the key "${shown(key)}" is never looked up: no rule with this table is for the domain "${shown(domain)}"`;
    });
  }
}

/** Is there a rule for a domain? Null when that cannot be determined. */
function domainsOf(rules: readonly Rule[], contents: Contents): ((domain: string) => boolean) | null {
  if (rules.length === 0) return null;
  const tables = rules.map(({ at, for: { table, negated, regex } }) =>
    negated || regex || contents.of(table, at) === null ? null : contents.table(table)
  );
  if (tables.includes(null)) return null;
  return (domain) => {
    const ascii = asciiDomain(domain) ?? domain;
    const names = [domain, ascii, unicodeDomain(ascii)];
    return tables.some((table) => names.some((name) => table!.check("domain", name) !== false));
  };
}
