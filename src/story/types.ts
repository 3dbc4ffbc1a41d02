/** A story as it is told: of a message, or of a session that brought none. smtpctl, the admin page and its API print the same one. Types only. */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";

/** How a line is to be read: something went as it should, is worth knowing, is not over yet, or failed. */
export type StoryLevel = "ok" | "info" | "warn" | "bad";

/** What a line is about. */
export type StoryKind =
  | "connection"
  | "refusal"
  | "check"
  | "filter"
  | "recipient"
  | "message"
  | "attempt"
  | "queue"
  | "dsn";

export interface StoryLine {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** One sentence, in plain English. */
  readonly text: string;
  readonly kind: StoryKind;
  readonly level: StoryLevel;
  /** Lines that belong below it: the tree of an expansion, recipients that went the same way. */
  readonly detail?: readonly string[];
}

/** What is known of the message, or of the session; null for what is not known, or what there was none of. */
export interface StoryFacts {
  readonly message: MessageId | null;
  readonly session: string | null;
  /** "" for the null sender. */
  readonly from: string | null;
  /** The first of the recipients, as the client named them. */
  readonly to: readonly string[];
  readonly recipients: number;
  readonly peer: string | null;
  readonly login: string | null;
  readonly messageId: string | null;
  readonly bytes: number | null;
  /** When the first and the last thing happened that is known of, in milliseconds since the epoch. */
  readonly firstAt: number | null;
  readonly lastAt: number | null;
}

export interface Story {
  /** What was asked for. */
  readonly id: string;
  /** The reason first, in one sentence. */
  readonly headline: string;
  readonly level: StoryLevel;
  readonly facts: StoryFacts;
  /** In order of time. */
  readonly lines: readonly StoryLine[];
  /** How it stands now: what is in the queue, until when, and what it waits for. */
  readonly now: readonly string[];
  /** What is missing here and why, such as events that are older than what is kept. */
  readonly notes: readonly string[];
}

/** An envelope in the queue, as queue and scheduler have it now. */
export interface PresentEnvelope {
  readonly id: EnvelopeId;
  readonly agent: "mda" | "mta" | "bounce";
  /** "" for the null sender. */
  readonly from: string;
  readonly rcpt: string;
  readonly dest: string;
  /** Milliseconds since the epoch, all of these; 0 for never. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastTryAt: number;
  readonly tries: number;
  /** Of the last attempt; "" for none. */
  readonly error: string;
  readonly suspended: boolean;
  readonly state: "pending" | "inflight" | "held" | "suspended" | "unknown";
  /** When it is due, or since when it is under way. */
  readonly at: number;
  /** What it waits for besides its time, as a sentence without its end; null for nothing. */
  readonly wait: string | null;
}

/** What is known now, beside the events. */
export interface Present {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Those of the message that are in the queue, the first of them; null where the queue does not answer. */
  readonly envelopes: readonly PresentEnvelope[] | null;
  /** There are more than those. */
  readonly more: boolean;
  readonly notes: readonly string[];
}
