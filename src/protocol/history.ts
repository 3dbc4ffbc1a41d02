/**
 * What control says to the isolate of the history: what happened to messages, to be kept, and questions of `smtpctl find` and `smtpctl story`.
 * Types and checks only.
 */

import type { RecordedEvent } from "../events/mod.ts";
import {
  type Check,
  finite,
  flag,
  isPlain,
  kindOf,
  list,
  type MessageTable,
  nullOr,
  oneOf,
  optional,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import { door } from "./door.ts";
import { call } from "./shapes.ts";

/** What became of a message. `refused`: it was not taken; `mixed`: its recipients ended in different ways. */
export const HISTORY_OUTCOMES = [
  "queued",
  "delivered",
  "relayed",
  "deferred",
  "bounced",
  "expired",
  "removed",
  "held",
  "refused",
  "mixed",
] as const;
export type HistoryOutcome = typeof HISTORY_OUTCOMES[number];

/**
 * What is looked for: a message that has all of it. In a text `*` stands for any text. Addresses and domains are compared in lower case; a domain is that of the
 * sender or of a recipient, a reply is found by a part of its text.
 */
export interface HistoryQuery {
  /** Each is any of the texts below. */
  readonly words: readonly string[];
  /** `local@domain`, or `@domain`; "<>" is the null sender. */
  readonly from?: string;
  readonly to?: string;
  readonly domain?: string;
  /** With or without its brackets. */
  readonly messageId?: string;
  /** Of a message, an envelope or a session, or the reference of a refusal. */
  readonly id?: string;
  readonly peer?: string;
  readonly login?: string;
  readonly reply?: string;
  readonly outcome?: HistoryOutcome;
  /** Milliseconds since the epoch, both included. */
  readonly since?: number;
  readonly until?: number;
}

/** Recipients of a message that are named in a listing. */
export const MAX_FOUND_RECIPIENTS = 10;

/** One message of a listing, or a session that brought none and was refused something. */
export interface FoundMessage {
  /** That of the message; of the session where there is no message. */
  readonly id: string;
  /** "" for what this host has written itself. */
  readonly session: string;
  /** When it began, and when its last event was: milliseconds since the epoch. */
  readonly at: number;
  readonly lastAt: number;
  /** Null is the null sender; "" where none was named. */
  readonly from: string | null;
  /** The first MAX_FOUND_RECIPIENTS of `rcpts`. */
  readonly to: readonly string[];
  readonly rcpts: number;
  /** Address of the client, "" where it is not known. */
  readonly peer: string;
  readonly login: string;
  /** Without its brackets. */
  readonly messageId: string;
  readonly bytes: number;
  readonly outcome: HistoryOutcome;
  /** The last that was said about it, by this host or by another. */
  readonly reply: string;
  /** Name of its class, "" where there is none. */
  readonly replyClass: string;
}

export type ToHistory =
  /** Events in the order in which they came, a line each: a RecordedEvent as JSON, and behind a tab its detail as JSON, where it has one. */
  | { readonly type: "record"; readonly call: number; readonly events: string }
  /** Newest first. `before`: the `next` of the answer before; "" begins. */
  | {
    readonly type: "find";
    readonly call: number;
    readonly query: HistoryQuery;
    readonly limit: number;
    readonly before: string;
  }
  /** `id` is one of those that a query may have. */
  | { readonly type: "story"; readonly call: number; readonly id: string }
  /** Lines that were said in sessions of it. */
  | { readonly type: "dialogue"; readonly call: number; readonly id: string }
  | { readonly type: "history-state"; readonly call: number };

export interface HistoryState {
  readonly messages: number;
  /** Of all its files. */
  readonly bytes: number;
  readonly segments: number;
  /** When the oldest message began; null when there is none. */
  readonly oldestAt: number | null;
  /** Events that were not recorded since the start of the isolate. */
  readonly leftOut: number;
  /** Why nothing is recorded now; null when all is well. */
  readonly stopped: string | null;
  /** Files that cannot be used and were set aside, each with the reason. */
  readonly damaged: readonly string[];
}

export type FromHistory =
  /** `leftOut`: how many of the events could not be kept. */
  | { readonly type: "recorded"; readonly call: number; readonly leftOut: number }
  /** `next`: where the listing goes on; null at its end. `more`: the time for one search was over before `limit` messages were found. */
  | {
    readonly type: "found";
    readonly call: number;
    readonly messages: readonly FoundMessage[];
    readonly next: string | null;
    readonly more: boolean;
  }
  /** No events: nothing is known of the id. */
  | {
    readonly type: "story";
    readonly call: number;
    readonly events: readonly RecordedEvent[];
    readonly truncated: boolean;
  }
  /** Events with lines of dialogues alone. */
  | {
    readonly type: "dialogue";
    readonly call: number;
    readonly events: readonly RecordedEvent[];
    readonly truncated: boolean;
  }
  | { readonly type: "history-state"; readonly call: number; readonly state: HistoryState };

/** Characters of the events of one `record`. */
export const MAX_RECORD_CHARS = 4 * 1024 * 1024;
/** Messages of one answer to `find`, events of one story. */
export const MAX_FOUND_MESSAGES = 1_000, MAX_STORY_EVENTS = 2_000;
/** Words of a query, and characters of each of its texts. */
export const MAX_QUERY_WORDS = 16, MAX_QUERY_CHARS = 1_000;

const term = text(MAX_QUERY_CHARS);
const outcome: Check<HistoryOutcome> = oneOf(...HISTORY_OUTCOMES);
/** Checks what is looked for; smtpctl sends it as well. */
export const historyQuery: Check<HistoryQuery> = record<HistoryQuery>({
  words: list(term, MAX_QUERY_WORDS),
  from: optional(term),
  to: optional(term),
  domain: optional(term),
  messageId: optional(term),
  id: optional(term),
  peer: optional(term),
  login: optional(term),
  reply: optional(term),
  outcome: optional(outcome),
  since: optional(finite),
  until: optional(finite),
});
const foundMessage: Check<FoundMessage> = record<FoundMessage>({
  id: text(),
  session: text(),
  at: finite,
  lastAt: finite,
  from: nullOr(text()),
  to: list(text(), MAX_FOUND_RECIPIENTS),
  rcpts: whole(),
  peer: text(),
  login: text(),
  messageId: text(),
  bytes: whole(),
  outcome,
  reply: text(),
  replyClass: text(),
});
/** What its fields are is not looked at: it may be of an older version. */
const event = (value: unknown) =>
  isPlain(value) && typeof value.type === "string" ? null : `is ${kindOf(value)}, not an event`;
const recordedEvent: Check<RecordedEvent> = record<RecordedEvent>({ at: finite, isolate: text(), event });

const TO_HISTORY: MessageTable<ToHistory> = {
  record: { call, events: text(MAX_RECORD_CHARS) },
  find: { call, query: historyQuery, limit: whole({ least: 1, most: MAX_FOUND_MESSAGES }), before: term },
  story: { call, id: term },
  dialogue: { call, id: term },
  "history-state": { call },
};
const FROM_HISTORY: MessageTable<FromHistory> = {
  recorded: { call, leftOut: whole() },
  found: { call, messages: list(foundMessage, MAX_FOUND_MESSAGES), next: nullOr(term), more: flag },
  story: { call, events: list(recordedEvent, MAX_STORY_EVENTS), truncated: flag },
  dialogue: { call, events: list(recordedEvent, MAX_STORY_EVENTS), truncated: flag },
  "history-state": {
    call,
    state: record<HistoryState>({
      messages: whole(),
      bytes: whole(),
      segments: whole(),
      oldestAt: nullOr(finite),
      leftOut: whole(),
      stopped: nullOr(text()),
      damaged: list(text()),
    }),
  },
};
const HISTORY_REPLIES: Replies<ToHistory, FromHistory> = {
  record: ["recorded"],
  find: ["found"],
  story: ["story"],
  dialogue: ["dialogue"],
  "history-state": ["history-state"],
};

export const CONTROL_HISTORY = door<ToHistory, FromHistory>(TO_HISTORY, FROM_HISTORY, HISTORY_REPLIES);
