/**
 * The protocol of filter programs, version 0.7 (smtpd-filters(7)): what is sent to one, and what its lines mean. Pure: uses no process, no
 * session and no clock. Lines are binary text, a character for each byte: what stands in messages is not text.
 */

import type {
  FilterDecision,
  FilterEvent,
  FilterPhaseName,
  FilterRegistration,
  FilterSubsystem,
} from "../protocol/mod.ts";
import { FILTER_EVENTS, FILTER_PHASES } from "../protocol/filters.ts";

const PROTOCOL = "0.7";
/** Longest line of a program: one of a message, and what stands before it. */
export const MAX_FILTER_LINE_OCTETS = 128 * 1024;
/** Longest line of a report, without its first word. */
const MAX_REPORT_OCTETS = 2047;
/** Registrations of one program; there are far fewer different ones. */
const MAX_REGISTRATIONS = 1000;

export interface FilterIntroduction {
  /** The product's. */
  readonly version: string;
  readonly sessionTimeoutMs: number;
  readonly subsystems: readonly FilterSubsystem[];
  readonly admd: string;
}

/** What a line of the program means. `broken`: it does not keep to the protocol, so that its output is not used. */
export type FilterOutput =
  | { readonly type: "nothing" }
  | { readonly type: "ready"; readonly registration: Omit<FilterRegistration, "process"> }
  | { readonly type: "result"; readonly session: string; readonly token: string; readonly decision: FilterDecision }
  | { readonly type: "line"; readonly session: string; readonly token: string; readonly line: string }
  | { readonly type: "report"; readonly session: string; readonly message: string }
  | { readonly type: "broken"; readonly reason: string };

const NOTHING: FilterOutput = { type: "nothing" };

function broken(reason: string): FilterOutput {
  return { type: "broken", reason };
}

/** The first lines to a program. */
export function filterGreeting({ version, sessionTimeoutMs, subsystems, admd }: FilterIntroduction): string {
  return [
    `smtpd-version|${version}`,
    `protocol|${PROTOCOL}`,
    `smtp-session-timeout|${Math.round(sessionTimeoutMs / 1000)}`,
    ...subsystems.map((subsystem) => `subsystem|${subsystem}`),
    `admd|${admd}`,
    "ready",
  ].map((line) => `config|${line}\n`).join("");
}

/** `nowMs`: milliseconds since the epoch. No bar at the end when the event has no parameters. */
export function eventLine(
  nowMs: number,
  subsystem: FilterSubsystem,
  event: FilterEvent,
  session: string,
  params: string,
): string {
  const tail = params === "" ? "" : `|${oneLine(params)}`;
  return `report|${PROTOCOL}|${timestamp(nowMs)}|${subsystem}|${event}|${session}${tail}\n`;
}

/** What stands before the parameter of a request; phases without one get an empty one. */
export function requestHead(nowMs: number, phase: FilterPhaseName, session: string, token: string): string {
  return `filter|${PROTOCOL}|${timestamp(nowMs)}|smtp-in|${phase}|${session}|${token}|`;
}

/** The line of a request: its head, then `param` (text of a client, of which line ends become blanks), then LF. */
export function requestLine(
  nowMs: number,
  phase: FilterPhaseName,
  session: string,
  token: string,
  param: string,
): string {
  return `${requestHead(nowMs, phase, session, token)}${oneLine(param)}\n`;
}

/** Text of a client stays on its line. */
function oneLine(text: string): string {
  return text.replace(/[\r\n\0]/g, " ");
}

/** Seconds and six digits of microseconds. */
function timestamp(nowMs: number): string {
  return `${Math.floor(nowMs / 1000)}.${String(Math.floor(nowMs % 1000) * 1000).padStart(6, "0")}`;
}

/** One program's side of the talk. */
export class FilterDialogue {
  #ready = false;
  #count = 0;
  readonly #phases = new Set<FilterPhaseName>();
  readonly #events: Record<FilterSubsystem, FilterEvent[]> = { "smtp-in": [], "smtp-out": [] };

  /** One line of the program, without its LF. */
  receive(line: string): FilterOutput {
    if (!this.#ready) return this.#register(line);
    const bar = line.indexOf("|");
    const word = bar < 0 ? line : line.slice(0, bar);
    const rest = bar < 0 ? "" : line.slice(bar + 1);
    switch (word) {
      case "filter-result":
        return readResult(rest);
      case "filter-dataline":
        return readLine(rest);
      case "report":
        return readReport(rest);
      default:
        return broken(`a line that begins with ${JSON.stringify(word.slice(0, 40))}`);
    }
  }

  #register(line: string): FilterOutput {
    if (line === "register|ready") {
      this.#ready = true;
      return { type: "ready", registration: { phases: [...this.#phases], events: this.#events } };
    }
    if (++this.#count > MAX_REGISTRATIONS) return broken("it registers too much");
    const [word, kind, subsystem = "", what, ...more] = line.split("|");
    if (word !== "register" || what === undefined || more.length > 0) {
      return broken(`before it is ready a line that is no registration: ${JSON.stringify(line.slice(0, 80))}`);
    }
    if (kind === "report") return this.#registerEvent(subsystem, what);
    if (kind === "filter") return this.#registerPhase(subsystem, what);
    return broken(`it registers ${JSON.stringify(kind)}`);
  }

  #registerEvent(subsystem: string, what: string): FilterOutput {
    if (subsystem !== "smtp-in" && subsystem !== "smtp-out") {
      return broken(`it registers reports of the unknown subsystem ${JSON.stringify(subsystem)}`);
    }
    const events = FILTER_EVENTS.filter((event) => what === "*" || event === what);
    if (events.length === 0) return broken(`it registers the unknown event ${JSON.stringify(what)}`);
    this.#events[subsystem].push(...events);
    return NOTHING;
  }

  #registerPhase(subsystem: string, what: string): FilterOutput {
    if (subsystem.toLowerCase() !== "smtp-in") {
      return broken(
        `it registers filters of the subsystem ${JSON.stringify(subsystem)}, there are some of smtp-in only`,
      );
    }
    const phase = FILTER_PHASES.find((known) => known === what);
    if (phase === undefined) return broken(`it registers the unknown phase ${JSON.stringify(what)}`);
    this.#phases.add(phase);
    return NOTHING;
  }
}

const HEX = /^[0-9a-f]{1,16}$/i;

/** `SID|TOKEN|rest`, the numbers as 16 hex digits. */
function addressed(text: string): { session: string; token: string; rest: string } | null {
  const first = text.indexOf("|");
  const second = text.indexOf("|", first + 1);
  if (first < 0 || second < 0) return null;
  const session = text.slice(0, first), token = text.slice(first + 1, second);
  if (!HEX.test(session) || !HEX.test(token)) return null;
  return { session: sixteen(session), token: sixteen(token), rest: text.slice(second + 1) };
}

function sixteen(hex: string): string {
  return hex.toLowerCase().padStart(16, "0");
}

function readLine(text: string): FilterOutput {
  const found = addressed(text);
  if (found === null) return broken("a malformed filter-dataline");
  return { type: "line", session: found.session, token: found.token, line: found.rest };
}

function readResult(text: string): FilterOutput {
  const found = addressed(text);
  if (found === null) return broken("a malformed filter-result");
  const { session, token, rest } = found;
  const bar = rest.indexOf("|");
  const word = bar < 0 ? rest : rest.slice(0, bar);
  const param = bar < 0 ? null : utf8(rest.slice(bar + 1));
  const decision = decisionOf(word, param);
  if (decision === null) return broken(`an unknown or incomplete decision: ${JSON.stringify(rest.slice(0, 80))}`);
  return { type: "result", session, token, decision };
}

function decisionOf(word: string, text: string | null): FilterDecision | null {
  switch (word) {
    case "proceed":
    case "junk":
      return text === null ? { kind: word } : null;
    case "reject":
    case "disconnect":
    case "rewrite":
    case "report":
      return text === null ? null : { kind: word, text };
    default:
      return null;
  }
}

/** `SEC.USEC|smtp-in|SID|message`. */
function readReport(text: string): FilterOutput {
  if (text.length > MAX_REPORT_OCTETS) return broken("a report that is too long");
  const found = /^(\d+)\.(\d{6})\|([^|]*)\|([0-9a-f]{1,16})\|(.+)$/is.exec(text);
  if (found === null) return broken("a malformed report");
  if (found[3] !== "smtp-in") return broken(`a report of the subsystem ${JSON.stringify(found[3])}`);
  return { type: "report", session: sixteen(found[4]!), message: utf8(found[5]!) };
}

/** Text of octets that were passed as characters. */
function utf8(binary: string): string {
  return new TextDecoder().decode(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)));
}
