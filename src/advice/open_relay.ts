/**
 * Can a stranger send mail through this server to anywhere? Plays strangers against the listeners and the rules: what a client can make up (its
 * name in HELO, its sender, TLS) is assumed to be made up as the rule requires; what cannot be decided here counts for the configuration.
 */

import type { Config, FilterStep, ListenSpec, Rule, RuleFrom, TableTest } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { parseAddress, parseNetwork } from "../net/mod.ts";
import { type Service } from "../tables/mod.ts";
import { type Contents, placeText } from "./entries.ts";

/** Clients all over both address spaces. None of them is anybody's customer. */
const CLIENTS: Readonly<Record<4 | 6, readonly string[]>> = {
  4: [
    "5.77.13.201",
    "31.201.7.19",
    "62.19.244.7",
    "91.7.130.66",
    "113.90.21.5",
    "150.66.3.90",
    "187.12.90.33",
    "210.44.61.12",
  ],
  6: [
    "2001:470:6c:1e::2",
    "2003:e1:4f10::9",
    "2409:8a00:2::77",
    "2607:f8c0:1a::5",
    "2804:14c:65::b",
    "2a02:8108:3::e1",
    "2c0f:f248:9::3",
    "3fff:17:5::1",
  ],
};
/** The name that strangers have below each top-level domain: they send from there, and to there. */
const STRANGER = "a-stranger-of-vaultpost";
const DOMAINS = ["com", "net", "de", "example", "cn", "co.uk", "br", "info"].map((zone) => `${STRANGER}.${zone}`);
/** A network with a shorter mask belongs to more than one party: `from src` of it names nobody. */
const WIDEST_OWN = { 4: 8, 6: 16 } as const;

/** `never`: the stranger cannot; `can`: with what it makes up; `must`: whatever it does. */
type Chance = "never" | "can" | "must";

interface Stranger {
  readonly address: string;
  /** Where it sends to. */
  readonly domain: string;
  readonly tag: string;
}

/** `file:line: warning: …` for each rule that lets strangers relay to anywhere. */
export function openRelayWarnings(config: Config, contents: Contents): string[] {
  const open = new Set<Rule>();
  for (const family of [4, 6] as const) {
    const counts = new Map<Rule, number>();
    for (const [index, address] of CLIENTS[family].entries()) {
      for (const rule of foundBy(config, contents, family, address, DOMAINS[index]!)) {
        const weight = inTooWide(rule.from, family, address, contents) ? CLIENTS[family].length : 1;
        counts.set(rule, (counts.get(rule) ?? 0) + weight);
      }
    }
    for (const [rule, count] of counts) if (count >= CLIENTS[family].length / 2) open.add(rule);
  }
  return config.rules.filter((rule) => open.has(rule)).map((rule) => {
    const made = madeUp(rule);
    const why = made === null ? "" : `: ${made} keeps nobody out`;
    return `${placeText(rule.at)}: warning: open relay: this rule relays mail of anybody to anywhere${why}: ` +
      'write "auth" into it, or name the clients ("from src") or the domains ("for domain")';
  });
}

/** The relaying rules that a client reaches, at whatever listener. */
function foundBy(config: Config, contents: Contents, family: 4 | 6, address: string, domain: string): Set<Rule> {
  const found = new Set<Rule>();
  for (const spec of config.listen) {
    if (!admitsStrangers(spec, family)) continue;
    const steps = spec.filter === null ? [] : config.filters[spec.filter] ?? [];
    if (steps.some((step) => keepsOut(step, contents, address))) continue;
    const rule = relayFor(config, contents, { address, domain, tag: spec.tag });
    if (rule !== null) found.add(rule);
  }
  return found;
}

/** Can a client from anywhere send mail at this listener without having logged in? */
function admitsStrangers(spec: ListenSpec, family: 4 | 6): boolean {
  if (spec.socket || spec.auth?.required === true) return false;
  // Without "ca" a certificate of any public authority will do, and everybody can have one.
  if (spec.tls !== "none" && spec.verify && spec.ca !== null) return false;
  if (spec.proxyV2) return true;
  if (isNear(spec.on)) return false;
  const words = parseAddress(spec.on);
  // The wildcard address of IPv6 takes clients of both families.
  const only = words === null ? spec.family : words.length === 2 ? 4 : words.some((word) => word !== 0) ? 6 : null;
  return only === null || only === family;
}

/** An interface or address that only this machine, or its own link, can reach. */
function isNear(on: string): boolean {
  if (/^(?:lo\d*|localhost|ip6-localhost)$/i.test(on)) return true;
  const words = parseAddress(on);
  if (words === null) return false;
  if (words.length === 2) return words[0]! >> 8 === 127;
  return (words[0]! & 0xffc0) === 0xfe80 || (words[7] === 1 && words.slice(0, 7).every((word) => word === 0));
}

/** Does the filter refuse this client? `match !auth reject`, `match !src <ours> reject`, `match !rdns <ours> reject`. */
function keepsOut(step: FilterStep, contents: Contents, address: string): boolean {
  if (step.kind === "process") return false;
  if (step.decision.kind !== "reject" && step.decision.kind !== "disconnect") return false;
  const { condition, negated } = step;
  switch (condition.kind) {
    case "auth":
      return negated;
    case "rdns":
      // Without a table, a client with a name passes; every stranger can have one.
      return negated && condition.test !== null && nameFor({ ...condition.test, negated: false }, contents) !== "can";
    case "src": {
      const found = contents.table(condition.test.table)?.check(condition.test.regex ? "regex" : "netaddr", address);
      // What cannot be looked into here counts for the configuration.
      return typeof found === "boolean" ? found !== negated : negated;
    }
    case "fcrdns":
    case "helo":
    case "mail-from":
    case "rcpt-to":
    case "spf":
    case "dkim":
    case "dmarc":
      return false;
  }
}

/** Is the client in the rule's table for the sake of a network that is too wide to be anybody's own? */
function inTooWide(from: RuleFrom, family: 4 | 6, address: string, contents: Contents): boolean {
  if (from.kind !== "source" || from.negated || from.regex) return false;
  const client = parseAddress(address)!;
  return contents.keys(from.table).some((key) => {
    const network = parseNetwork(key);
    return network !== null && network.words.length === client.length && network.bits < WIDEST_OWN[family] &&
      (client[0]! ^ network.words[0]!) >> (16 - network.bits) === 0;
  });
}

/** The first relaying rule that the stranger can reach, null when there is none. */
function relayFor(config: Config, contents: Contents, stranger: Stranger): Rule | null {
  for (const rule of config.rules) {
    const chance = chanceOf(rule, contents, stranger);
    if (chance === "never") continue;
    const { outcome } = rule;
    if (outcome.kind === "action" && config.actions[outcome.name]?.kind === "relay") return rule;
    if (chance === "must") return null;
  }
  return null;
}

function chanceOf(rule: Rule, contents: Contents, stranger: Stranger): Chance {
  const ask = (test: TableTest, service: Service, key: string): Chance => {
    const found = contents.table(test.table)?.check(test.regex ? "regex" : service, key);
    if (typeof found !== "boolean") return "never";
    return found !== test.negated ? "must" : "never";
  };
  const chances: Chance[] = [
    rule.tag === null ? "must" : ask(rule.tag, "string", stranger.tag),
    fromChance(rule, stranger, contents, ask),
    rule.for.table === BUILTIN_TABLES.anyDestination
      ? truth(!rule.for.negated)
      : rule.for.table === BUILTIN_TABLES.localNames
      ? truth(rule.for.negated)
      : ask(rule.for, "domain", stranger.domain),
    rule.auth === null ? "must" : truth(rule.auth.negated || (rule.auth.test?.negated ?? false)),
    rule.rcptTo === null ? "must" : ask(rule.rcptTo, "mailaddr", `someone@${stranger.domain}`),
    rule.helo === null && rule.mailFrom === null && rule.tls === null && rule.mailAuth === null ? "must" : "can",
  ];
  return chances.includes("never") ? "never" : chances.includes("can") ? "can" : "must";
}

function fromChance(
  { from }: Rule,
  { address }: Stranger,
  contents: Contents,
  ask: (test: TableTest, service: Service, key: string) => Chance,
): Chance {
  switch (from.kind) {
    case "socket":
      return truth(from.negated);
    case "rdns":
      // Anybody can have a name of their own, or none; nobody one of ours.
      return from.test === null || from.negated ? "can" : nameFor(from.test, contents);
    case "source":
      if (from.table === BUILTIN_TABLES.anyHost) return truth(!from.negated);
      if (from.table === BUILTIN_TABLES.localHost) return truth(from.negated);
      return ask(from, "netaddr", address);
  }
}

/** Can a stranger give its address a name that the test takes? The owner of an address chooses its name, below any domain of its own. */
function nameFor(test: TableTest, contents: Contents): Chance {
  if (test.negated) return "can";
  const table = contents.table(test.table);
  const names = [...DOMAINS.flatMap((domain) => [domain, `mail.${domain}`, `1-2-3-4.dyn.${domain}`])];
  if (!test.regex) names.push(...contents.keys(test.table).flatMap(nameOfStranger));
  const service = test.regex ? "regex" : "domain";
  return names.some((name) => table?.check(service, name) === true) ? "can" : "never";
}

/** A name that the pattern takes and that is in a domain of a stranger: `*.org`, `mail*.co.uk`, `mx.*`; none for `*.example.org`. */
function nameOfStranger(pattern: string): string[] {
  if (!pattern.includes("*")) return [];
  const name = pattern.toLowerCase().replace(/\*+$/, `${STRANGER}.com`).replace(/\*+/g, STRANGER);
  // Countries sell names below such a label.
  const own = /[^.]*\.(?:(?:co|com|net|org|ac|edu|gov|ne|or)\.[a-z]{2}|[^.]+)$/.exec(name);
  return own !== null && own[0].includes(STRANGER) ? [name] : [];
}

function truth(is: boolean): Chance {
  return is ? "must" : "never";
}

/** The criterion of the rule that keeps nobody out, though it looks as if it did. */
function madeUp({ mailFrom, helo, from }: Rule): string | null {
  if (mailFrom !== null && !mailFrom.negated) return 'a sender ("mail-from")';
  if (helo !== null && !helo.negated) return 'a name in HELO ("helo")';
  return from.kind === "rdns" ? 'a name of the client ("rdns")' : null;
}
