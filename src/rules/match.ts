/** Which `match` rule is the first to fit an envelope. Pure but for the tables that it asks; expands nothing. */

import type { Rule, RuleFrom, TableTest } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { type Mailbox, type Origin, type ReversePath, unicodeDomain } from "../envelope/mod.ts";
import { logTrace, NO_OBSERVER, type Observer, type RuleOutcome } from "../events/mod.ts";
import { LookupError, type LookupTable, type Service } from "../tables/mod.ts";

/** What the rules look at. */
export interface Subject {
  readonly origin: Origin;
  readonly tls: boolean;
  readonly sender: ReversePath;
  /** The address that is being routed: the recipient, or what expansion made of it. */
  readonly dest: Mailbox;
  /** Made by expansion: its source is "local", whoever the client is. */
  readonly internal: boolean;
  /** What the message was found to be; absent for one that is not checked. */
  readonly mailAuth?: KnownMailAuth;
}

/**
 * What is known of the checks of a message: the keys of its results, or before it has come, whether rules that look at them are taken to match. Those that
 * reject are never taken to.
 */
export type KnownMailAuth = readonly string[] | { readonly assumed: boolean };

export type Decision =
  | { readonly kind: "action"; readonly name: string; readonly rule: Rule }
  | { readonly kind: "reject"; readonly rule: Rule }
  | { readonly kind: "none" }
  /** A criterion could not be decided: nothing is known, so the answer is temporary. */
  | { readonly kind: "error"; readonly rule: Rule; readonly reason: string };

type Truth = boolean | LookupError;
type Criterion = (subject: Subject) => Truth;
/** A criterion with its words in smtpd.conf(5). */
type NamedCriterion = readonly [name: string, criterion: Criterion];

const SOURCE_LOCAL = "local";
const UNKNOWN_HOST = "<unknown>";

/** What a matcher needs of the tables. */
export interface TableSource {
  get(name: string): LookupTable;
}

/** The rules of a configuration, compiled to lists of criteria in their order of evaluation. */
export class RuleSet {
  readonly #rules: readonly { readonly rule: Rule; readonly criteria: readonly NamedCriterion[] }[];

  readonly #observer: Observer;

  constructor(rules: readonly Rule[], tables: TableSource, observer: Observer = NO_OBSERVER) {
    this.#observer = observer;
    this.#rules = rules.map((rule) => ({ rule, criteria: compileRule(rule, tables) }));
  }

  /** The first rule of which all criteria are true. The first error ends it all. */
  match(subject: Subject): Decision {
    const traced = this.#observer.traces("rules");
    next: for (const { rule, criteria } of this.#rules) {
      for (const [name, criterion] of criteria) {
        const truth = criterion(subject);
        if (truth instanceof LookupError) {
          const { reason } = truth;
          if (traced) this.#trace(subject, rule, `cannot be decided: ${reason}`);
          this.#note(subject, rule, { outcome: "cannot be decided", criterion: name, reason });
          return { kind: "error", rule, reason };
        }
        if (!truth) {
          if (traced) this.#trace(subject, rule, "does not match");
          this.#note(subject, rule, { outcome: "does not match", criterion: name });
          continue next;
        }
      }
      if (traced) this.#trace(subject, rule, `matches: ${outcomeText(rule)}`);
      this.#note(subject, rule, { outcome: "matches", criterion: null });
      return rule.outcome.kind === "reject"
        ? { kind: "reject", rule }
        : { kind: "action", name: rule.outcome.name, rule };
    }
    if (traced) this.#trace(subject, null, "no rule matches");
    this.#observer.noted?.({ kind: "no-rule", dest: mailboxKey(subject.dest) });
    return { kind: "none" };
  }

  #note(
    { dest }: Subject,
    { at, outcome: decided }: Rule,
    how: { readonly outcome: RuleOutcome; readonly criterion: string | null; readonly reason?: string },
  ): void {
    const action = decided.kind === "reject" ? null : decided.name;
    this.#observer.noted?.({ kind: "rule", at, dest: mailboxKey(dest), action, ...how });
  }

  #trace({ dest, sender }: Subject, rule: Rule | null, text: string): void {
    const where = rule === null ? "" : `rule ${rule.at.file}:${rule.at.line} `;
    logTrace(this.#observer, "rules", `from ${mailboxKey(sender)} to ${mailboxKey(dest)}: ${where}${text}`);
  }
}

function outcomeText({ outcome }: Rule): string {
  return outcome.kind === "reject" ? "reject" : `action "${outcome.name}"`;
}

function compileRule(rule: Rule, tables: TableSource): NamedCriterion[] {
  const criteria: readonly (readonly [string, Criterion | null])[] = [
    ["tag", rule.tag && compileTest(rule.tag, "string", tables, ({ origin }) => origin.tag)],
    ["from", compileFrom(rule.from, tables)],
    ["for", compileFor(rule.for, tables)],
    ["helo", rule.helo && compileTest(rule.helo, "domain", tables, ({ origin }) => origin.helo)],
    ["auth", rule.auth && compileAuth(rule.auth, tables)],
    ["tls", rule.tls && negatable(rule.tls, ({ tls }) => tls)],
    ["mail-from", rule.mailFrom && compileTest(rule.mailFrom, "mailaddr", tables, ({ sender }) => mailboxKey(sender))],
    ["rcpt-to", rule.rcptTo && compileTest(rule.rcptTo, "mailaddr", tables, ({ dest }) => mailboxKey(dest))],
    ["mail-auth", rule.mailAuth && compileMailAuth(rule.mailAuth, rule, tables)],
  ];
  return criteria.filter((named): named is NamedCriterion => named[1] !== null);
}

/** A message that is not checked is in no table of results, and in no table's negation. */
function compileMailAuth({ table: name, negated }: TableTest, { outcome }: Rule, tables: TableSource): Criterion {
  const table = tables.get(name);
  return ({ mailAuth }) => {
    if (mailAuth === undefined) return false;
    if ("assumed" in mailAuth) return mailAuth.assumed && outcome.kind !== "reject";
    for (const key of mailAuth) {
      const found = table.check("string", key);
      if (found !== false) return found === true ? !negated : found;
    }
    return negated;
  };
}

/** The null reverse-path is `@`. */
function mailboxKey(path: ReversePath): string {
  return path === null ? "@" : `${path.local}@${path.domain}`;
}

/** Negation turns true and false around, never an error. */
function negatable({ negated }: { readonly negated: boolean }, criterion: Criterion): Criterion {
  if (!negated) return criterion;
  return (subject) => {
    const truth = criterion(subject);
    return truth instanceof LookupError ? truth : !truth;
  };
}

function compileTest(
  test: TableTest,
  service: Service,
  tables: TableSource,
  key: (subject: Subject) => string,
): Criterion {
  const table = tables.get(test.table);
  const asked = test.regex ? "regex" : service;
  if (service !== "domain" && service !== "mailaddr") {
    return negatable(test, (subject) => table.check(asked, key(subject)));
  }
  return negatable(test, (subject) => checkDomain(table, asked, key(subject)));
}

/** A domain, or what stands behind the `@`. RFC 5890 §2.3.2.1: A-labels and U-labels are the same name, and a table may have either. */
export function checkDomain(table: LookupTable, service: Service, key: string): Truth {
  const found = table.check(service, key);
  if (found !== false || !/xn--/i.test(key)) return found;
  const at = key.lastIndexOf("@") + 1;
  const domain = key.slice(at).toLowerCase();
  const unicode = unicodeDomain(domain);
  return unicode === domain ? false : table.check(service, key.slice(0, at) + unicode);
}

function compileFrom(from: RuleFrom, tables: TableSource): Criterion | null {
  switch (from.kind) {
    case "socket":
      return (subject) => !subject.internal && (subject.origin.address === SOURCE_LOCAL) !== from.negated;
    case "rdns":
      return compileRdns(from, tables);
    case "source":
      // Every client has an address, or is local.
      if (from.table === BUILTIN_TABLES.anyHost && !from.negated) return null;
      return compileTest(from, "netaddr", tables, ({ internal, origin }) => internal ? SOURCE_LOCAL : origin.address);
  }
}

/** Name servers failed: mail that a rule asks the client's name of waits. */
const UNSURE_NAME = new LookupError("The name of the client cannot be looked up now");

/** Without a table: has the client a name? With one: is it in there? A client without a name is in no table and in no table's negation. */
function compileRdns(from: Extract<RuleFrom, { kind: "rdns" }>, tables: TableSource): Criterion {
  const { test } = from;
  const negated = from.negated || (test?.negated ?? false);
  const unsure = ({ internal, origin }: Subject) => !internal && origin.hostnameUnsure === true;
  if (test === null) {
    return (subject) => {
      if (unsure(subject)) return UNSURE_NAME;
      return !subject.internal && (subject.origin.hostname !== UNKNOWN_HOST) !== negated;
    };
  }
  const inTable = compileTest(
    { ...test, negated },
    "domain",
    tables,
    ({ internal, origin }) => internal ? SOURCE_LOCAL : origin.hostname,
  );
  return (subject) => {
    if (unsure(subject)) return UNSURE_NAME;
    return !subject.internal && subject.origin.hostname === UNKNOWN_HOST ? false : inTable(subject);
  };
}

function compileFor(test: TableTest, tables: TableSource): Criterion | null {
  if (test.table === BUILTIN_TABLES.anyDestination && !test.negated && !test.regex) {
    return ({ dest }) => dest.domain !== "";
  }
  return compileTest(test, "domain", tables, ({ dest }) => dest.domain);
}

function compileAuth(auth: NonNullable<Rule["auth"]>, tables: TableSource): Criterion {
  const { test } = auth;
  const negated = auth.negated || (test?.negated ?? false);
  if (test === null) return negatable({ negated }, ({ origin }) => origin.authenticated);
  const table = tables.get(test.table);
  return negatable({ negated }, ({ origin }) => {
    if (!origin.authenticated) return false;
    const service = test.regex ? "regex" : origin.username.includes("@") ? "mailaddr" : "string";
    return table.check(service, origin.username);
  });
}
