/**
 * A chain of filters as pure logic: a phase begins and goes from filter to filter until one decides or all have let it pass. Uses no session,
 * no process and no table; session_filters.ts asks what is to be asked.
 */

import type { FilterStep, MailAuthCondition } from "../../config/mod.ts";
import { refusalReply } from "../../config/refusal.ts";
import { type MailAuth, mailAuthWords } from "../../envelope/mod.ts";
import type { Confirmed, FilterDecision, FilterPhaseName, FilterRegistration } from "../../protocol/mod.ts";

/** What built-in filters look at. */
export interface View {
  /** `<unknown>` for a client without a name. */
  readonly rdns: string;
  readonly confirmed: Confirmed;
  /** IPv4, `[IPv6]` or "local". */
  readonly address: string;
  readonly helo: string;
  /** "" for nobody. */
  readonly username: string;
  /** Addresses without brackets; the null sender is "". */
  readonly sender: string;
  readonly rcpt: string;
  /** What the message was found to be; null where it is not checked, and before the commit. */
  readonly mailAuth: MailAuth | null;
}

/** A phase of one session. `param`: what the client sent, as filters get it. */
export interface Query {
  readonly phase: FilterPhaseName;
  readonly param: string;
  readonly view: View;
  /** A filter that would have let the client pass by could not be decided, for this reason. */
  readonly unsure?: Undecided;
}

/** Why a condition is not known now: name servers failed, or a table did, or a check of the message was not possible. */
export type Undecided = "name" | "table" | "check";

const UNKNOWN = "<unknown>";

/** How a phase ends. */
export type ChainDecision =
  | { readonly kind: "proceed" | "junk" }
  /** `text` is a whole reply; `close`: the session ends with it. */
  | { readonly kind: "refuse"; readonly text: string; readonly close: boolean }
  | { readonly kind: "rewrite"; readonly value: string };

/** A question to a table. */
export interface Test {
  readonly table: string;
  readonly service: "domain" | "netaddr" | "mailaddr" | "regex" | "auth" | "string";
  readonly key: string;
  /** Other keys, of which one in the table is as good. */
  readonly others?: readonly string[];
}

/** What is to be done next, and what built-in filters report before it. `at` is the place in the chain to go on from. */
export type Next =
  & {
    readonly reports: readonly { readonly name: string; readonly text: string }[];
    /** As in Query, for what comes next in this phase. */
    readonly unsure?: Undecided;
  }
  & (
    | { readonly do: "ask"; readonly at: number; readonly process: string }
    | { readonly do: "test"; readonly at: number; readonly test: Test }
    /** `response`: what is reported of the phase, `response[|param]`. */
    | {
      readonly do: "end";
      readonly decision: ChainDecision;
      readonly response: string;
      /** The place in the chain of the filter that has decided so; absent where all have let the phase pass. */
      readonly by?: number;
      /** What a filter has sent in the place of a reply. */
      readonly noReply?: string;
    }
  );

type End = Extract<Next, { do: "end" }>;

export type Registrations = ReadonlyMap<string, FilterRegistration>;

/** Begins a phase, or goes on with it at the filter number `at`. */
export function next(
  steps: readonly FilterStep[],
  registered: Registrations,
  query: Query,
  at = 0,
  reports: Next["reports"] = [],
): Next {
  for (; at < steps.length; at++) {
    const step = steps[at]!;
    if (step.kind === "process") {
      if (registered.get(step.process)?.phases.includes(query.phase)) {
        return { reports, do: "ask", at, process: step.process, ...carried(query) };
      }
      continue;
    }
    if (step.phase !== query.phase) continue;
    const truth = evaluate(step, query.view);
    if (truth === "unchecked") continue;
    if (truth === "name" || truth === "check") {
      const end = undecided(step, query, truth, reports);
      if (end !== null) return { ...end, by: at };
      if (step.decision.kind === "bypass") query = { ...query, unsure: truth };
      continue;
    }
    if (typeof truth !== "boolean") return { reports, do: "test", at, test: truth, ...carried(query) };
    if (truth === step.negated) continue;
    const { decision: decision } = step;
    if (decision.kind !== "report") return { ...ended(reports, builtin(decision), query), by: at };
    reports = [...reports, { name: step.name, text: decision.text }];
  }
  return ended(reports, { kind: "proceed" }, query);
}

function carried({ unsure }: Query): Pick<Query, "unsure"> {
  return unsure === undefined ? {} : { unsure };
}

/**
 * A condition that is not known now, with `!` or without: a refusal is temporary then, and anything else is left undone. Null: the phase goes
 * on behind the filter.
 */
function undecided(step: Builtin, { phase }: Query, why: Undecided, reports: Next["reports"]): End | null {
  const { kind } = step.decision;
  return kind === "reject" || kind === "disconnect"
    ? notNow({ phase, disconnect: kind === "disconnect", why }, reports)
    : null;
}

const NOT_NOW: Readonly<Record<Undecided, string>> = {
  name: "4.4.3 The name of your address cannot be looked up now, try again later",
  table: "4.3.0 Temporary lookup failure, try again later",
  check: "4.7.0 The message cannot be authenticated now, try again later",
};

/** RFC 5321 §3.1 has 421 for a client that is not admitted now, RFC 4954 §4 454 for AUTH. */
function notNow(
  { phase, disconnect, why }: {
    readonly phase: FilterPhaseName;
    readonly disconnect: boolean;
    readonly why: Undecided;
  },
  reports: Next["reports"],
): End {
  const close = disconnect || phase === "connect";
  const text = `${close ? 421 : phase === "auth" ? 454 : 451} ${NOT_NOW[why]}`;
  const response = `${close ? "disconnect" : "reject"}|${text}`;
  return { reports, do: "end", decision: { kind: "refuse", text, close }, response };
}

/** The process that was asked at the place `at` has answered. */
export function answered(
  steps: readonly FilterStep[],
  registered: Registrations,
  query: Query,
  at: number,
  decision: FilterDecision,
): Next {
  if (decision.kind === "proceed") return next(steps, registered, query, at + 1);
  return { ...ended([], decision, query), by: at };
}

/** Lookup has answered the test at the place `at` with `found`; null: it is not known now. */
export function tested(
  steps: readonly FilterStep[],
  registered: Registrations,
  query: Query,
  { at, found }: { readonly at: number; readonly found: boolean | null },
): Next {
  const step = steps[at]!;
  if (step.kind === "builtin" && found === null) {
    const end = undecided(step, query, "table", []);
    if (end !== null) return { ...end, by: at };
    if (step.decision.kind === "bypass") query = { ...query, unsure: "table" };
    return next(steps, registered, query, at + 1);
  }
  if (step.kind !== "builtin" || found === step.negated) return next(steps, registered, query, at + 1);
  const { decision: decision } = step;
  if (decision.kind !== "report") return { ...ended([], builtin(decision), query), by: at };
  return next(steps, registered, query, at + 1, [{ name: step.name, text: decision.text }]);
}

type Builtin = Extract<FilterStep, { kind: "builtin" }>;

/** `bypass` lets the phase pass by the filters behind it. */
function builtin(decision: Exclude<Builtin["decision"], { kind: "report" }>): FilterDecision {
  return decision.kind === "bypass" ? { kind: "proceed" } : decision as FilterDecision;
}

/** A filter that reports in the place of a decision lets the phase pass, and the filters behind it do not see it. */
function ended(reports: Next["reports"], decision: FilterDecision, { phase, unsure }: Query): End {
  const end = (decision: ChainDecision, response: string): End => ({ reports, do: "end", decision, response });
  switch (decision.kind) {
    case "proceed":
    case "junk":
      return end({ kind: decision.kind }, decision.kind);
    case "report":
      return end({ kind: "proceed" }, `report|${decision.text}`);
    case "rewrite":
      return end({ kind: "rewrite", value: decision.text }, `rewrite|${decision.text}`);
    case "reject":
    case "disconnect": {
      const text = refusalReply(decision.text);
      const close = decision.kind === "disconnect" || text.startsWith("421");
      // A client that might have passed this filter is not refused permanently.
      if (unsure !== undefined && text.startsWith("5")) {
        return notNow({ phase, disconnect: close, why: unsure }, reports);
      }
      return {
        reports,
        do: "end",
        decision: { kind: "refuse", text, close },
        response: `${decision.kind}|${decision.text}`,
        ...(text === decision.text ? {} : { noReply: decision.text }),
      };
    }
  }
}

/**
 * True or false where that is known here, `name` or `check` where it is not known now, else what to ask lookup. `unchecked`: the condition is about
 * the checks of a message that is not checked, and holds neither with `!` nor without.
 */
function evaluate({ condition, negated }: Builtin, view: View): boolean | "name" | "check" | "unchecked" | Test {
  switch (condition.kind) {
    case "spf":
    case "dkim":
    case "dmarc":
      return view.mailAuth === null ? "unchecked" : evaluateCheck({ condition, negated }, view.mailAuth);
    case "fcrdns":
      return view.confirmed === "temporary" ? "name" : view.confirmed === "pass";
    case "rdns":
      if (view.confirmed === "temporary" && view.rdns === UNKNOWN) return "name";
      if (condition.test === null) return view.rdns !== UNKNOWN && !isAddress(view.rdns);
      return test(condition.test, "domain", view.rdns);
    case "auth":
      if (condition.test === null) return view.username !== "";
      return view.username !== "" && test(condition.test, "auth", view.username);
    case "src":
      return test(condition.test, "netaddr", view.address);
    case "helo":
      return test(condition.test, "domain", view.helo);
    case "mail-from":
      return test(condition.test, "mailaddr", view.sender);
    case "rcpt-to":
      return test(condition.test, "mailaddr", view.rcpt);
  }
}

/** What was not possible to check is not known to be anything else: what holds for all but a result is not decided then. */
function evaluateCheck(
  { condition, negated }: { readonly condition: MailAuthCondition; readonly negated: boolean },
  mailAuth: MailAuth,
): boolean | "check" | Test {
  const words = mailAuthWords(mailAuth, condition.kind);
  if ("table" in condition) {
    return {
      table: condition.table,
      service: "string",
      key: words[0]!,
      ...(words.length > 1 ? { others: words.slice(1) } : {}),
    };
  }
  const found = words.some((word) => condition.words.includes(word));
  return negated && !found && words.includes("temperror") ? "check" : found;
}

function test({ table, regex }: { table: string; regex: boolean }, service: Test["service"], key: string): Test {
  return { table, service: regex ? "regex" : service, key };
}

function isAddress(name: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(name) || name.includes(":");
}
