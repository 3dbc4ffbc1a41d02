/**
 * What smtpctl and the daemon say over the control socket: JSON, one object per line. A connection carries one request; answers are streamed
 * and the last one has `ok`. The answers and the limits; the requests are in parse.ts.
 */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";
import type { Finding } from "../protocol/mod.ts";
import type { MonitorSample } from "../events/mod.ts";

/** Octets of a request line with its end. The longest request names one table or macro. */
export const MAX_REQUEST_BYTES = 4096;
/** Octets of an answer line: one chunk of a message in base64, and some room. */
export const MAX_ANSWER_BYTES = 1024 * 1024;
/** A client that has its last answer, or was refused, and does not hang up is cut off after so long. */
export const LINGER_MS = 2_000;
/** A client that sends no whole request in this time is closed. */
export const REQUEST_TIMEOUT_MS = 10_000;
/** Time between two samples of `monitor`. */
export const MONITOR_PERIOD_MS = 1000;
/** Messages that one `discover` names at most. */
export const MAX_DISCOVER_MESSAGES = 50;

/** Why nothing became of a command. Without `failed` there was nothing to do. */
export interface Unchanged {
  readonly reason: string;
  readonly failed: boolean;
}

/** What can be written as JSON, under names. */
export type JsonRecord = { readonly [name: string]: JsonValue };
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonRecord;

export type ControlAnswer =
  /** One line of output. */
  | { readonly line: string }
  /** A line of output for programs: names in camelCase, times as text of RFC 3339. */
  | { readonly record: JsonRecord }
  /** A piece of a message, in base64. */
  | { readonly bytes: string }
  | { readonly sample: MonitorSample }
  /** One finding of a check of this host. */
  | { readonly finding: Finding }
  /** An envelope of an export, as the text of its file. */
  | { readonly envelope: EnvelopeId; readonly text: string }
  /** The database file has so many octets and is not written; say so again with this number, and at the end. */
  | { readonly hold: number; readonly octets: number }
  /** About so many envelopes are to come. */
  | { readonly total: number }
  /** The body that came before belongs to this message, whose envelopes follow; without `whole` it is no longer queued. */
  | { readonly message: MessageId; readonly whole: boolean }
  /** The end. `count`: envelopes that were changed; `unchanged`: why there are none where some were named. */
  | { readonly ok: true; readonly count?: number; readonly unchanged?: Unchanged }
  /** The end. Refused for lack of rights when `denied`; `error` may be empty. */
  | { readonly ok: false; readonly error: string; readonly denied?: boolean };
