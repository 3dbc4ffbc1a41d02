/** The messages between the queue, the scheduler and the agents of delivery: which mail is due, what it holds, what became of it. Types and checks only. */

import type { ReplyClass } from "../reply_class/mod.ts";
import type { Agent, Envelope, EnvelopeId, MessageId, Outcome } from "../envelope/mod.ts";
import {
  finite,
  flag,
  list,
  type MessageTable,
  octets,
  oneOf,
  optional,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import { door } from "./door.ts";
import { CHUNK_BYTES } from "./smtp_queue.ts";
import { call, envelope, envelopeId, longText, mac, messageId, outcome } from "./shapes.ts";

/** Classes of failures (src/reply_class) that have a back-off of their own; see src/schedule/backoff.ts. */
export const RETRY_CLASSES = [
  "greylisted",
  "rate",
  "mailbox-full",
  "reputation",
] as const satisfies readonly ReplyClass[];
export type RetryClass = typeof RETRY_CLASSES[number];

/** What the scheduler keeps of an envelope. */
export interface Ticket {
  readonly id: EnvelopeId;
  readonly agent: Agent;
  readonly action: string;
  /** Whose limits it shares: the local user for mda, the lower-case destination domain for mta, "" for an envelope that asks for a DSN. */
  readonly lane: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly tries: number;
  readonly suspended: boolean;
  /** Found at start: the daemon may have been off while its time passed, so it is tried once before it expires. */
  readonly restored?: true;
  /** Of an envelope whose last attempt failed for a reason that has a back-off of its own: what it was, and when, in ms since the epoch. */
  readonly failed?: { readonly retryClass: RetryClass; readonly at: number };
}

export type QueueToScheduler =
  | { readonly type: "enqueued"; readonly tickets: readonly Ticket[] }
  /** The outcome of an attempt is durable: forget it, or try again later, after the back-off of `retryClass` where there is one. */
  | {
    readonly type: "settled";
    readonly id: EnvelopeId;
    readonly again: boolean;
    readonly retryClass?: RetryClass;
  }
  /** Removed by the administrator, or gone for another reason. */
  | { readonly type: "dropped"; readonly ids: readonly EnvelopeId[] }
  /** Start-up: all tickets have been sent. */
  | { readonly type: "loaded" };

export type SchedulerToQueue =
  /** Its time is over: the queue asks for a DSN, deletes it, and answers `dropped`. */
  | { readonly type: "expired"; readonly ids: readonly EnvelopeId[] }
  /** Envelopes of one message that ask for a DSN and are due: the queue writes it and settles them. */
  | { readonly type: "dsn"; readonly message: MessageId; readonly ids: readonly EnvelopeId[] };

/** Envelopes of one message that go the same way. */
export interface Job {
  readonly type: "job";
  readonly message: MessageId;
  readonly action: string;
  readonly lane: string;
  readonly ids: readonly EnvelopeId[];
  /** With it the agent shows the queue that it was given these envelopes; see src/mac/job_mac.ts. */
  readonly mac: string;
}

/** A destination that could not be reached takes mail again: these envelopes, which failed for that, need not wait for their time. */
export type RelayToScheduler = { readonly type: "reschedule"; readonly ids: readonly EnvelopeId[] };

export type AgentToQueue =
  /** The scheduler has given the agent a job: before anything else about these envelopes. `only`: those of them that it takes. */
  | {
    readonly type: "take";
    readonly message: MessageId;
    readonly ids: readonly EnvelopeId[];
    readonly mac: string;
    readonly only?: readonly EnvelopeId[];
  }
  /** The envelopes of a job and the start of the body. */
  | { readonly type: "open"; readonly call: number; readonly message: MessageId; readonly ids: readonly EnvelopeId[] }
  /** The body from chunk `index` on (one chunk). */
  | { readonly type: "read"; readonly call: number; readonly message: MessageId; readonly index: number }
  | { readonly type: "outcome"; readonly id: EnvelopeId; readonly outcome: Outcome }
  /** Has everything that was sent before arrived? Asked by an agent that is about to end. */
  | { readonly type: "arrived"; readonly call: number };

export type QueueToAgent =
  /** Ids that are no longer queued are missing from `envelopes`. `bytes` is the whole size, `first` chunk 0, `chunks` their number. */
  | {
    readonly type: "opened";
    readonly call: number;
    readonly envelopes: readonly Envelope[];
    readonly bytes: number;
    readonly chunks: number;
    readonly first: Uint8Array<ArrayBuffer>;
  }
  | { readonly type: "chunk"; readonly call: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "unreadable"; readonly call: number; readonly text: string }
  | { readonly type: "arrived"; readonly call: number };

/** Privileged deliveries: envelopes that take a command, or a file that a user named. The privileged isolate asks the queue what they hold and sends it the outcomes. */
export type ToPrivileged = Omit<Job, "type"> & {
  readonly type: "privileged-job";
  readonly call: number;
  /** Those of `ids` that are to be done. */
  readonly only: readonly EnvelopeId[];
};
/** All of it is done, or was done before. */
export type FromPrivileged = { readonly type: "privileged-job-done"; readonly call: number };

const ids = list(envelopeId);
/** Envelopes in one job at most. */
export const MAX_JOB_ENVELOPES = 1000;
const jobIds = list(envelopeId, MAX_JOB_ENVELOPES);
const retryClass = oneOf(...RETRY_CLASSES);
const ticket = record<Ticket>({
  id: envelopeId,
  agent: oneOf("mda", "mta", "bounce"),
  action: text(),
  lane: text(),
  createdAt: finite,
  expiresAt: finite,
  tries: whole(),
  suspended: flag,
  restored: optional(oneOf(true)),
  failed: optional(record<NonNullable<Ticket["failed"]>>({ retryClass, at: finite })),
});

const QUEUE_TO_SCHEDULER: MessageTable<QueueToScheduler> = {
  enqueued: { tickets: list(ticket) },
  settled: { id: envelopeId, again: flag, retryClass: optional(retryClass) },
  dropped: { ids },
  loaded: {},
};
const SCHEDULER_TO_QUEUE: MessageTable<SchedulerToQueue> = {
  expired: { ids },
  dsn: { message: messageId, ids },
};

const JOB = { message: messageId, action: text(), lane: text(), ids, mac };
const TO_AGENT: MessageTable<Job> = { job: JOB };
const RELAY_TO_SCHEDULER: MessageTable<RelayToScheduler> = { reschedule: { ids } };

const AGENT_TO_QUEUE: MessageTable<AgentToQueue> = {
  take: { message: messageId, ids: jobIds, mac, only: optional(jobIds) },
  open: { call, message: messageId, ids },
  read: { call, message: messageId, index: whole() },
  outcome: { id: envelopeId, outcome },
  arrived: { call },
};
const QUEUE_TO_AGENT: MessageTable<QueueToAgent> = {
  opened: { call, envelopes: list(envelope), bytes: whole(), chunks: whole(), first: octets(CHUNK_BYTES) },
  chunk: { call, bytes: octets(CHUNK_BYTES) },
  unreadable: { call, text: longText },
  arrived: { call },
};
const AGENT_REPLIES: Replies<AgentToQueue, QueueToAgent> = {
  open: ["opened", "unreadable"],
  read: ["chunk", "unreadable"],
  arrived: ["arrived"],
};

const TO_PRIVILEGED: MessageTable<ToPrivileged> = { "privileged-job": { call, ...JOB, only: ids } };
const FROM_PRIVILEGED: MessageTable<FromPrivileged> = { "privileged-job-done": { call } };
const PRIVILEGED_REPLIES: Replies<ToPrivileged, FromPrivileged> = { "privileged-job": ["privileged-job-done"] };

export const QUEUE_SCHEDULER = door<QueueToScheduler, SchedulerToQueue>(QUEUE_TO_SCHEDULER, SCHEDULER_TO_QUEUE, {});
export const SCHEDULER_RELAY = door<Job, RelayToScheduler>(TO_AGENT, RELAY_TO_SCHEDULER, {});
export const SCHEDULER_DELIVERY = door<Job, never>(TO_AGENT, {}, {});
/** Of relay, delivery and privileged alike. */
export const AGENT_QUEUE = door<AgentToQueue, QueueToAgent>(AGENT_TO_QUEUE, QUEUE_TO_AGENT, AGENT_REPLIES);
export const DELIVERY_PRIVILEGED = door<ToPrivileged, FromPrivileged>(
  TO_PRIVILEGED,
  FROM_PRIVILEGED,
  PRIVILEGED_REPLIES,
);
