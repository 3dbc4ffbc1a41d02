/** What the admin page and its API need to know of the daemon, and may have it do: given by src/control, faked by tests. */

import type { ControlRequest, JsonRecord } from "../control/mod.ts";
import type { Envelope, EnvelopeCursor, EnvelopeId, MessageId } from "../envelope/mod.ts";
import type { AdminActEvent, Counts, HistogramKey, Statistic } from "../events/mod.ts";
import type { AdminToken, Checked, HistoryQuery, RunState } from "../protocol/mod.ts";
import type { Measured } from "./metric_names.ts";

/** One envelope and where it stands. */
export interface AdminRow {
  readonly envelope: Envelope & { readonly expiresAt: number };
  readonly state: RunState | null;
}

/** What became of a request: the records that it brought, and how it ended. */
export interface RequestResult {
  readonly records: readonly JsonRecord[];
  readonly end: {
    readonly ok: boolean;
    readonly error?: string;
    readonly count?: number;
    readonly unchanged?: { readonly reason: string; readonly failed: boolean };
  };
}

/** Something that happened to mail just now. */
export interface AdminOutcome {
  readonly what: "accepted" | "delivered" | "relayed" | "deferred" | "failed" | "refused" | "removed";
  readonly message: string | null;
  readonly envelope: string | null;
  readonly session: string | null;
  readonly from: string | null;
  readonly to: string | null;
  readonly text: string | null;
}

/** A page of what was found. */
export interface FoundPage {
  readonly items: readonly JsonRecord[];
  readonly next: string | null;
  /** The search has ended before all was looked at. */
  readonly stopped: boolean;
  readonly notes: readonly string[];
}

/** Why there is no answer, as a sentence without its end. `unavailable`: there may be one later. */
export interface Fault {
  readonly fault: string;
  readonly unavailable: boolean;
}

export interface AdminSource {
  readonly serverName: string;
  readonly version: string;
  uptimeSeconds(): number;
  /** Touched statistics, sorted by key. */
  stats(): readonly Statistic[];
  /** What was counted of a distribution since the start. */
  histogram(key: HistogramKey): Counts;
  /** What is looked at for each request: null for what does not answer. */
  measure(): Promise<
    Readonly<Record<Exclude<Measured, "uptime" | "version">, number | null>> & { readonly queueAges: Counts | null }
  >;
  /** What happened in the last day: `items`, `bucketSeconds`, `ages`. */
  series(query: { readonly hours?: number; readonly minutes?: number }): JsonRecord;
  /** At most `limit` envelopes after the id `after`, of one message or of all, in order of id. */
  queuePage(after: EnvelopeCursor, limit: number, message?: MessageId | null): Promise<readonly AdminRow[]>;
  /** One envelope; null when it is not in the queue. */
  envelope(id: EnvelopeId): Promise<AdminRow | null>;
  /** The records of envelopes: what a list has of each, and all of one. */
  readonly recordOf: { queued(row: AdminRow): JsonRecord; whole(row: AdminRow): JsonRecord };
  /** Which of the isolates that mail cannot do without answer. */
  health(): Promise<Readonly<Record<string, boolean>>>;
  /** What is wrong with the spool, a line each. */
  diskErrors(): Promise<readonly string[]>;
  /** What the last check of this host found, and when; null before the first. */
  checkup(): Checked | null;
  /** Why mail is refused or stands still though all answer, a sentence each: a full disk, isolates that do not run. */
  refusals(): Promise<readonly string[]>;
  paused(): Readonly<Record<string, boolean>>;
  /** Whether a history of messages is kept. */
  recording(): boolean;
  /** Messages of the history, newest first. */
  find(query: HistoryQuery, page: { readonly limit: number; readonly before: string }): Promise<FoundPage | Fault>;
  /** The story of a message, an envelope, a session or a refusal, with its events, and what was said if that is asked for. */
  story(id: string, options: { readonly dialogue: boolean }): Promise<JsonRecord | Fault>;
  /** Does what a request of smtpctl does; `by` is who asks. */
  ask(request: ControlRequest, by: string): Promise<RequestResult>;
  /** How all stands now; `rates` is per second since the last call of the one who looks on, null for a single look. */
  look(rates: JsonRecord | null): Promise<JsonRecord>;
  /** Someone looks on: rates are counted, and `onoutcome` is called for what happens, until `end`. */
  watch(onoutcome: (outcome: AdminOutcome) => void): { rates(): JsonRecord; end(): void };
  /** Lanes of the queue, each with the reason why it waits. */
  lanes(): Promise<readonly JsonRecord[]>;
  /** SMTP sessions that are open now, from a place on. */
  sessions(
    page: { readonly from: number; readonly limit: number },
  ): { readonly records: readonly JsonRecord[]; readonly count: number };
  /** Tokens that are kept. */
  tokens(): Promise<readonly AdminToken[]>;
  tokenUsed(name: string): void;
  /** Reports what someone did. */
  act(act: Omit<AdminActEvent, "type">): void;
}
