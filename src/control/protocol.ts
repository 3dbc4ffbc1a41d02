/**
 * What smtpctl and the daemon say over the control socket: JSON, one object per line. A connection carries one request; answers are streamed
 * and the last one has `ok`. The answers and the limits; the requests are in parse.ts.
 */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";
import type { MonitorSample } from "../events/mod.ts";
import type { Finding, FoundMessage, HostRecord, LaneRecord } from "../protocol/mod.ts";
import type { Dialogue, Story } from "../story/mod.ts";

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
/** Bounds of the time between two samples of `top`. */
export const LEAST_TOP_MS = 100, MOST_TOP_MS = 60_000;
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

/** What is counted while someone looks on. */
export interface Rates {
  /** Messages that were accepted. */
  readonly accepted: number;
  /** Deliveries to mailboxes and commands here, and to other hosts. */
  readonly delivered: number;
  readonly relayed: number;
  /** Deliveries of both kinds that failed for now, and for good. */
  readonly deferred: number;
  readonly failed: number;
  /** Commands that were refused. */
  readonly refused: number;
}

/** One look of `top`. Times in ms since the epoch. */
export interface TopSample {
  readonly serverName: string;
  readonly at: number;
  readonly uptimeSeconds: number;
  /** Per second since the sample before; null in the first one. */
  readonly rates: Rates | null;
  readonly sessions: number;
  readonly relaySessions: number;
  readonly localDeliveries: number;
  readonly envelopes: number;
  readonly inflight: number;
  readonly oldestAt: number | null;
  readonly paused: readonly string[];
  /** How many lanes there are; `lanes` are the largest and the oldest of them. */
  readonly laneCount: number;
  readonly lanes: readonly LaneRecord[];
  /** The slowest. */
  readonly hosts: readonly HostRecord[];
}

/** How a search ended. */
export interface SearchEnd {
  /** What `before` is to be for those behind the ones that came; null at the end. */
  readonly next: string | null;
  /** Not all was looked at: that would take too long. */
  readonly stopped: boolean;
  /** Since when the history has messages, in ms since the epoch; null for none. */
  readonly oldestAt: number | null;
  /** What is wrong with the history, a sentence each. */
  readonly notes: readonly string[];
}

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
  | { readonly top: TopSample }
  /** A message that was looked for. */
  | { readonly found: FoundMessage }
  | { readonly search: SearchEnd }
  | { readonly story: Story }
  /** What was said in one session of it. */
  | { readonly dialogue: Dialogue }
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
