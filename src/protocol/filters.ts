/** What is said at the doors of the filter isolate about sessions: events, questions to filters, their answers. Types, limits, measures and checks only. */

import {
  type Check,
  finite,
  flag,
  list,
  type MessageTable,
  octets,
  oneOf,
  record,
  tagged,
  text,
  whole,
} from "./check.ts";
import { door } from "./door.ts";
import { longText, sessionId } from "./shapes.ts";

/** Phases that a program can register for; `help` and `wiz` are never asked. */
export const FILTER_PHASES = [
  "connect",
  "helo",
  "ehlo",
  "starttls",
  "auth",
  "mail-from",
  "rcpt-to",
  "data",
  "data-line",
  "rset",
  "quit",
  "noop",
  "help",
  "wiz",
  "commit",
] as const;
export type FilterPhaseName = typeof FILTER_PHASES[number];

export const FILTER_EVENTS = [
  "link-connect",
  "link-disconnect",
  "link-greeting",
  "link-identify",
  "link-tls",
  "link-auth",
  "tx-reset",
  "tx-begin",
  "tx-mail",
  "tx-rcpt",
  "tx-envelope",
  "tx-data",
  "tx-commit",
  "tx-rollback",
  "protocol-client",
  "protocol-server",
  "filter-report",
  "mail-auth",
  "filter-response",
  "timeout",
] as const;
export type FilterEvent = typeof FILTER_EVENTS[number];

export type FilterSubsystem = "smtp-in" | "smtp-out";

/** What a program has registered for; an event that it named twice stands twice. */
export interface FilterRegistration {
  readonly process: string;
  readonly phases: readonly FilterPhaseName[];
  readonly events: Readonly<Record<FilterSubsystem, readonly FilterEvent[]>>;
}

export type FilterDecision =
  | { readonly kind: "proceed" | "junk" }
  | { readonly kind: "reject" | "disconnect" | "rewrite" | "report"; readonly text: string };

/** Weight of message lines that a session may have on the way to one program, and octets of a program's output to the sessions of one isolate. */
export const FILTER_WINDOW = 256 * 1024;

/** Octets that stand before each line of a message on its way to a program, about. */
const HEAD_OCTETS = 80;

/** What lines of a message are for the program that has to read them: a thousand empty ones are no small thing. Each ends with LF. */
export function weightOf(lines: Uint8Array): number {
  let weight = lines.length;
  for (let at = lines.indexOf(0x0a); at >= 0; at = lines.indexOf(0x0a, at + 1)) weight += HEAD_OCTETS;
  return weight;
}

/** smtp, relay → filter. `session` is 16 hex digits, `at` milliseconds since the epoch. */
export type SessionToFilter =
  /** `params`: fields with `|` between them, "" for none. To every process of the list that has registered for it. */
  | {
    readonly type: "event";
    readonly session: string;
    readonly processes: readonly string[];
    readonly subsystem: FilterSubsystem;
    readonly event: FilterEvent;
    readonly params: string;
    readonly at: number;
  }
  /** One at a time for each session, but for `data-line`, which ends with the line `.` of the process. */
  | {
    readonly type: "request";
    readonly session: string;
    readonly process: string;
    readonly phase: Exclude<FilterPhaseName, "data-line">;
    readonly token: string;
    readonly param: string;
    readonly at: number;
  }
  /** Whole lines of the message, dot-stuffed, each with its LF; the last is `.`. */
  | {
    readonly type: "lines";
    readonly session: string;
    readonly process: string;
    readonly token: string;
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly at: number;
  }
  /** So many octets of `lines` were used: as many more may come. */
  | { readonly type: "taken"; readonly process: string; readonly bytes: number }
  /** The session is over: what is still said about it counts for nothing. */
  | { readonly type: "gone"; readonly session: string };

/** filter → smtp, relay. */
export type FilterToSession =
  /** First of all, and once: all programs are ready. */
  | { readonly type: "registered"; readonly registrations: readonly FilterRegistration[] }
  /** A program does not read: nothing new is to be begun while this is on. */
  | { readonly type: "hold"; readonly on: boolean }
  /** A program is lost and the daemon about to stop: no session goes on. */
  | { readonly type: "lost" }
  | {
    readonly type: "answer";
    readonly session: string;
    readonly token: string;
    readonly decision: FilterDecision;
  }
  /** Lines of a message as the process reads them, each with its LF. */
  | {
    readonly type: "lines";
    readonly session: string;
    readonly process: string;
    readonly token: string;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  /** The process has read lines of the session's that weigh so much; the session may be gone. */
  | { readonly type: "taken"; readonly session: string; readonly process: string; readonly bytes: number }
  /** A process reports something of its own; `name` is the process in words. */
  | { readonly type: "reported"; readonly session: string; readonly name: string; readonly message: string };

const process = text();
/** Octets of lines that one message may carry: the window, and a line that goes beyond it. */
const MAX_LINES_OCTETS = 16 * 1024 * 1024;
const lines = octets(MAX_LINES_OCTETS);
const phase = oneOf(...FILTER_PHASES);
const askedPhase = oneOf(...FILTER_PHASES.filter((each) => each !== "data-line"));
const event = oneOf(...FILTER_EVENTS);
const registration: Check<FilterRegistration> = record<FilterRegistration>({
  process,
  phases: list(phase),
  events: record<FilterRegistration["events"]>({ "smtp-in": list(event), "smtp-out": list(event) }),
});
const WITH_TEXT = { text: longText };
const decision: Check<FilterDecision> = tagged<FilterDecision, "kind">("kind", {
  proceed: {},
  junk: {},
  reject: WITH_TEXT,
  disconnect: WITH_TEXT,
  rewrite: WITH_TEXT,
  report: WITH_TEXT,
});

const SESSION_TO_FILTER: MessageTable<SessionToFilter> = {
  event: {
    session: sessionId,
    processes: list(process),
    subsystem: oneOf("smtp-in", "smtp-out"),
    event,
    params: longText,
    at: finite,
  },
  request: { session: sessionId, process, phase: askedPhase, token: sessionId, param: longText, at: finite },
  lines: { session: sessionId, process, token: sessionId, bytes: lines, at: finite },
  taken: { process, bytes: whole() },
  gone: { session: sessionId },
};
const FILTER_TO_SESSION: MessageTable<FilterToSession> = {
  registered: { registrations: list(registration) },
  hold: { on: flag },
  lost: {},
  answer: { session: sessionId, token: sessionId, decision },
  lines: { session: sessionId, process, token: sessionId, bytes: lines },
  taken: { session: sessionId, process, bytes: whole() },
  reported: { session: sessionId, name: text(), message: longText },
};

/** Of smtp and relay alike. */
export const SESSION_FILTER = door<SessionToFilter, FilterToSession>(SESSION_TO_FILTER, FILTER_TO_SESSION, {});
