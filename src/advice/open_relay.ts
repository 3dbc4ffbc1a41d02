/**
 * Can a stranger send mail through this server to anywhere? Plays strangers against the listeners and the rules: what a client can make up (its
 * name in HELO, its sender, TLS) is taken for made up as the rule wants it; what cannot be decided here counts for the configuration.
 */

import {
  BUILTIN_TABLES,
  type Config,
  type FilterStep,
  type ListenSpec,
  type Rule,
  type TableTest,
} from "../config/mod.ts";
import type { Service } from "../tables/mod.ts";
import { type Contents, placeText } from "./entries.ts";

/** Clients all over the address space, and recipients that they would send spam to. None of them is anybody's customer. */
const STRANGERS: readonly (readonly [address: string, domain: string])[] = [
  ["5.77.13.201", "a-stranger-of-vaultpost.com"],
  ["31.201.7.19", "a-stranger-of-vaultpost.net"],
  ["62.19.244.7", "a-stranger-of-vaultpost.de"],
  ["91.7.130.66", "a-stranger-of-vaultpost.example"],
  ["113.90.21.5", "a-stranger-of-vaultpost.cn"],
  ["150.66.3.90", "a-stranger-of-vaultpost.co.uk"],
  ["187.12.90.33", "a-stranger-of-vaultpost.br"],
  ["210.44.61.12", "a-stranger-of-vaultpost.info"],
];
const LOOPBACK = /^(?:lo|lo0|localhost|127\..*|::1)$/;

/** `never`: the stranger cannot; `can`: with what it makes up; `must`: whatever it does. */
type Chance = "never" | "can" | "must";

interface Stranger {
  readonly address: string;
  readonly domain: string;
  readonly tag: string;
}

/** `file:line: warning: …` for each rule that lets strangers relay to anywhere. */
export function openRelayWarnings(config: Config, contents: Contents): string[] {
  const open = new Map<Rule, number>();
  for (const [address, domain] of STRANGERS) {
    const found = new Set<Rule>();
    for (const spec of config.listen.filter((one) => admitsStrangers(config, one))) {
      const rule = relayFor(config, contents, { address, domain, tag: spec.tag });
      if (rule !== null) found.add(rule);
    }
    for (const rule of found) open.set(rule, (open.get(rule) ?? 0) + 1);
  }
  return [...open].filter(([, count]) => count >= STRANGERS.length / 2).map(([rule]) => {
    const made = madeUp(rule);
    const why = made === null ? "" : `: ${made} keeps nobody out`;
    return `${placeText(rule.at)}: warning: open relay: this rule relays mail of anybody to anywhere${why}: ` +
      'write "auth" into it, or name the clients ("from src") or the domains ("for domain")';
  });
}

/** Can a client from anywhere send mail at this listener without having logged in? */
function admitsStrangers(config: Config, spec: ListenSpec): boolean {
  if (spec.socket || spec.auth?.required === true || (spec.tls !== "none" && spec.verify)) return false;
  if (LOOPBACK.test(spec.on) && !spec.proxyV2) return false;
  const steps = spec.filter === null ? [] : config.filters[spec.filter] ?? [];
  return !steps.some(keepsStrangersOut);
}

/** `match !auth reject`, `match !src <ours> reject`. */
function keepsStrangersOut(step: FilterStep): boolean {
  if (step.kind === "process" || !step.negated) return false;
  const refuses = step.verdict.kind === "reject" || step.verdict.kind === "disconnect";
  return refuses && (step.condition.kind === "auth" || step.condition.kind === "src");
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
    fromChance(rule, stranger, ask),
    rule.for.table === BUILTIN_TABLES.anyDestination
      ? truth(!rule.for.negated)
      : rule.for.table === BUILTIN_TABLES.localNames
      ? truth(rule.for.negated)
      : ask(rule.for, "domain", stranger.domain),
    rule.auth === null ? "must" : truth(rule.auth.negated || (rule.auth.test?.negated ?? false)),
    rule.rcptTo === null ? "must" : ask(rule.rcptTo, "mailaddr", `someone@${stranger.domain}`),
    rule.helo === null && rule.mailFrom === null && rule.tls === null ? "must" : "can",
  ];
  return chances.includes("never") ? "never" : chances.includes("can") ? "can" : "must";
}

function fromChance(
  { from }: Rule,
  { address }: Stranger,
  ask: (test: TableTest, service: Service, key: string) => Chance,
): Chance {
  switch (from.kind) {
    case "socket":
      return truth(from.negated);
    case "rdns":
      // Anybody can have a name of their own, or none; nobody one of ours.
      return from.test === null || from.negated || from.test.negated ? "can" : "never";
    case "source":
      if (from.table === BUILTIN_TABLES.anyHost) return truth(!from.negated);
      if (from.table === BUILTIN_TABLES.localHost) return truth(from.negated);
      return ask(from, "netaddr", address);
  }
}

function truth(is: boolean): Chance {
  return is ? "must" : "never";
}

/** The criterion of the rule that keeps nobody out, though it looks as if it did. */
function madeUp({ mailFrom, helo, from }: Rule): string | null {
  if (mailFrom !== null && !mailFrom.negated) return 'a sender ("mail-from")';
  if (helo !== null && !helo.negated) return 'a name in HELO ("helo")';
  return from.kind === "rdns" && from.test === null ? 'a name of the client ("rdns")' : null;
}
