/** What control, which speaks for smtpctl, says to the other isolates. Types and checks only. Long, because each message has a type, a check and a reply. */

import type { Envelope, EnvelopeCursor, EnvelopeId, MessageId } from "../envelope/mod.ts";
import {
  type Check,
  either,
  finite,
  flag,
  list,
  type MessageTable,
  nullOr,
  octets,
  oneOf,
  optional,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import {
  host,
  type HostRecord,
  hostStatus,
  type HostStatusRecord,
  lane,
  type LaneRecord,
  type LaneState,
  laneState,
  relay,
  type RelayRecord,
  route,
  type RouteRecord,
} from "./control_records.ts";
import { door } from "./door.ts";
import { CHUNK_BYTES } from "./smtp_queue.ts";
import { call, cursor, envelopeId, listedEnvelope, longText, messageId } from "./shapes.ts";

/** A message, an envelope, everything, or what is to be relayed to a domain (lower-case). */
export type Target =
  | { readonly message: MessageId }
  | { readonly envelope: EnvelopeId }
  | { readonly domain: string }
  | "all";
/** The queue has no domains: the scheduler finds their envelopes. */
export type QueueTarget = Exclude<Target, { readonly domain: string }> | { readonly ids: readonly EnvelopeId[] };

/** A disk, in bytes. */
interface Disk {
  readonly total: number;
  readonly free: number;
}

export type ControlToQueue =
  /** Envelopes after `after` in order of id, at most `limit` and of at most so many messages: a listing is a loop of these until there is no `next`. */
  | {
    readonly type: "list";
    readonly call: number;
    readonly message: MessageId | null;
    readonly after: EnvelopeCursor;
    readonly limit: number;
    readonly messages?: number;
  }
  | { readonly type: "envelope"; readonly call: number; readonly id: EnvelopeId }
  /** What cannot be read and is set aside, as lines of text. */
  | { readonly type: "damaged"; readonly call: number }
  /** What is wrong with the spool now, a line each; none when all is well. */
  | { readonly type: "disk-errors"; readonly call: number }
  | { readonly type: "body"; readonly call: number; readonly message: MessageId; readonly index: number }
  /** Texts of envelopes after `after` in order of id, for an import elsewhere: an export is a loop of these until nothing comes. */
  | { readonly type: "export"; readonly call: number; readonly after: EnvelopeCursor }
  /** Takes in a message, or one envelope of it, that lies in the spool's folder `import`. */
  | {
    readonly type: "discover";
    readonly call: number;
    readonly message: MessageId;
    readonly envelope: EnvelopeId | null;
  }
  /** The database file is not written from `begin` to `end`, for a copy of it; who copies says `keep` now and then. `hold` is 0 at the beginning. */
  | {
    readonly type: "backup";
    readonly call: number;
    readonly step: "begin" | "keep" | "end";
    readonly hold: number;
  }
  /** Deletes those of the target after `after`, a slice of them; the scheduler gets `dropped`. */
  | { readonly type: "remove"; readonly call: number; readonly target: QueueTarget; readonly after: EnvelopeCursor }
  /** Durable mark of `pause envelope` and `resume envelope`, on a slice as well. */
  | {
    readonly type: "suspend";
    readonly call: number;
    readonly target: QueueTarget;
    readonly after: EnvelopeCursor;
    readonly suspended: boolean;
  };

/** What is set aside: an envelope, or a message of which nothing can be read. `foundAt` in ms since the epoch. */
export interface DamagedEntry {
  readonly id: string;
  readonly foundAt: number;
  readonly reason: string;
}

export type QueueToControl =
  | {
    readonly type: "listed";
    readonly call: number;
    readonly envelopes: readonly (Envelope & { readonly expiresAt: number })[];
    /** Where to go on: there may be more behind it, even if there are no envelopes here. Null at the end. */
    readonly next: EnvelopeId | null;
  }
  /** With the size of the disk of the spool and what is free of it, in bytes; without them when that cannot be read. */
  | {
    readonly type: "disk-errors";
    readonly call: number;
    readonly lines: readonly string[];
    readonly disk?: Disk;
  }
  | { readonly type: "damaged"; readonly call: number; readonly entries: readonly DamagedEntry[] }
  /** `text`: the envelope as key/value lines. Both are null when there is none. */
  | {
    readonly type: "envelope";
    readonly call: number;
    readonly text: string | null;
    readonly envelope: (Envelope & { readonly expiresAt: number }) | null;
  }
  | {
    readonly type: "body";
    readonly call: number;
    readonly chunks: number;
    readonly bytes: Uint8Array<ArrayBuffer> | null;
  }
  /** `text` is null when the envelope is damaged. */
  | {
    readonly type: "exported";
    readonly call: number;
    readonly envelopes: readonly { readonly id: EnvelopeId; readonly text: string | null }[];
  }
  /** `count`: envelopes; `error`: why nothing of the message was taken in. */
  | { readonly type: "discovered"; readonly call: number; readonly count: number; readonly error: string | null }
  /** `bytes` of the database file, to `begin`; `error`: why there is no copy, or none that is consistent. */
  | {
    readonly type: "backup";
    readonly call: number;
    readonly hold: number;
    readonly bytes: number;
    readonly error: string | null;
  }
  /**
   * Those of the slice that changed. `next`: where the next slice begins, null when this was the last; `whole`: a damaged message was removed
   * that may have no envelopes.
   */
  | {
    readonly type: "removed" | "suspended";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly next: EnvelopeId | null;
    readonly whole?: boolean;
  };

export type ControlToScheduler =
  /** Makes a slice of the target due; `from` is 0 at first, then `next` of the answer before. */
  | { readonly type: "schedule"; readonly call: number; readonly target: Target; readonly from: number }
  /** A slice of the envelopes that are to be relayed to a domain. */
  | { readonly type: "find"; readonly call: number; readonly domain: string; readonly from: number }
  | {
    readonly type: "suspend";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly suspended: boolean;
  }
  /** `pause mta`, `resume mda`: `changed` in the answer is false when it was so already. */
  | { readonly type: "pause"; readonly call: number; readonly agent: "mda" | "mta"; readonly paused: boolean }
  /** The lanes that hold most, and those whose envelopes are oldest: so many of each. */
  | { readonly type: "lanes"; readonly call: number; readonly most: number }
  /** Where each of these envelopes stands, for a listing. */
  | { readonly type: "states"; readonly call: number; readonly ids: readonly EnvelopeId[] }
  /** The same, and how the lane of each stands: of few. */
  | { readonly type: "waits"; readonly call: number; readonly ids: readonly EnvelopeId[] }
  /** How old is what is in the queue? In the buckets of `queue.age`. */
  | { readonly type: "ages"; readonly call: number };

/** `at`: ms since the epoch; when it is due (pending, held) or since when it runs (inflight). */
export interface RunState {
  readonly id: EnvelopeId;
  readonly state: "pending" | "inflight" | "held" | "suspended" | "unknown";
  readonly at: number;
}
/** Where an envelope stands, and the lane that it is in; null for one that the scheduler does not know. */
export interface WaitState {
  readonly state: RunState;
  readonly lane: LaneState | null;
}
export type SchedulerToControl =
  | { readonly type: "suspended"; readonly call: number; readonly count: number }
  /** `next` is null after the last slice. */
  | { readonly type: "scheduled"; readonly call: number; readonly count: number; readonly next: number | null }
  | {
    readonly type: "found";
    readonly call: number;
    readonly ids: readonly EnvelopeId[];
    readonly next: number | null;
  }
  /** `count`: lanes in all; `oldestAt`: of all envelopes, null when there is none. */
  | {
    readonly type: "lanes";
    readonly call: number;
    readonly lanes: readonly LaneRecord[];
    readonly count: number;
    readonly oldestAt: number | null;
  }
  | { readonly type: "paused"; readonly call: number; readonly changed: boolean }
  | { readonly type: "states"; readonly call: number; readonly states: readonly RunState[] }
  | { readonly type: "waits"; readonly call: number; readonly waits: readonly WaitState[] }
  /** Envelopes per bucket; the sum of their ages and the oldest of these, in seconds. */
  | {
    readonly type: "ages";
    readonly call: number;
    readonly counts: readonly number[];
    readonly sum: number;
    readonly oldest: number;
  };

export type ControlToRelay = {
  readonly type: "show" | "show-records";
  readonly call: number;
  readonly what: "hosts" | "hoststats" | "relays" | "routes";
  /** Of `hosts`: so many, those whose transactions take longest. */
  readonly slowest?: number;
} | { readonly type: "resume-route"; readonly call: number; readonly route: number };

/** To `show`, what is to be printed, or the same as records; to `resume-route`, why it was not resumed, or nothing. */
export type RelayToControl =
  | { readonly type: "shown"; readonly call: number; readonly lines: readonly string[] }
  | {
    readonly type: "records";
    readonly call: number;
    readonly hosts?: readonly HostRecord[];
    readonly routes?: readonly RouteRecord[];
    readonly relays?: readonly RelayRecord[];
    readonly hoststats?: readonly HostStatusRecord[];
  };

export type ControlToLookup =
  | { readonly type: "update-table"; readonly call: number; readonly table: string }
  /** Which tables have no answer to any question now? */
  | { readonly type: "table-faults"; readonly call: number };
export type LookupToControl =
  | { readonly type: "updated"; readonly call: number; readonly error: string | null }
  | { readonly type: "table-faults"; readonly call: number; readonly faults: readonly string[] };

const ids = list(envelopeId);
const next = nullOr(envelopeId);
const named = either(
  record<{ readonly message: MessageId }>({ message: messageId }),
  record<{ readonly envelope: EnvelopeId }>({ envelope: envelopeId }),
);
const everything = oneOf("all");
const queueTarget: Check<QueueTarget> = either(
  everything,
  either(record<{ readonly ids: readonly EnvelopeId[] }>({ ids }), named),
);
const target: Check<Target> = either(
  everything,
  either(record<{ readonly domain: string }>({ domain: text() }), named),
);
const lines = list(longText);

const CONTROL_TO_QUEUE: MessageTable<ControlToQueue> = {
  list: { call, message: nullOr(messageId), after: cursor, limit: whole(), messages: optional(whole()) },
  envelope: { call, id: envelopeId },
  damaged: { call },
  "disk-errors": { call },
  body: { call, message: messageId, index: whole() },
  export: { call, after: cursor },
  discover: { call, message: messageId, envelope: nullOr(envelopeId) },
  backup: { call, step: oneOf("begin", "keep", "end"), hold: whole() },
  remove: { call, target: queueTarget, after: cursor },
  suspend: { call, target: queueTarget, after: cursor, suspended: flag },
};
const CHANGED = { call, ids, next, whole: optional(flag) };
const QUEUE_TO_CONTROL: MessageTable<QueueToControl> = {
  listed: { call, envelopes: list(listedEnvelope), next },
  damaged: {
    call,
    entries: list(record<DamagedEntry>({ id: text(), foundAt: finite, reason: longText })),
  },
  "disk-errors": { call, lines, disk: optional(record<Disk>({ total: whole(), free: whole() })) },
  envelope: { call, text: nullOr(longText), envelope: nullOr(listedEnvelope) },
  body: { call, chunks: whole(), bytes: nullOr(octets(CHUNK_BYTES)) },
  exported: {
    call,
    envelopes: list(
      record<{ readonly id: EnvelopeId; readonly text: string | null }>({ id: envelopeId, text: nullOr(longText) }),
    ),
  },
  discovered: { call, count: whole(), error: nullOr(longText) },
  backup: { call, hold: whole(), bytes: whole(), error: nullOr(longText) },
  removed: CHANGED,
  suspended: CHANGED,
};
const CONTROL_QUEUE_REPLIES: Replies<ControlToQueue, QueueToControl> = {
  list: ["listed"],
  envelope: ["envelope"],
  damaged: ["damaged"],
  "disk-errors": ["disk-errors"],
  body: ["body"],
  export: ["exported"],
  discover: ["discovered"],
  backup: ["backup"],
  remove: ["removed"],
  suspend: ["suspended"],
};

/** Envelopes whose lanes one question asks for. */
export const MAX_WAITS = 1_000;

/** Buckets of ages. */
const MAX_AGES = 64;

const CONTROL_TO_SCHEDULER: MessageTable<ControlToScheduler> = {
  schedule: { call, target, from: whole() },
  find: { call, domain: text(), from: whole() },
  suspend: { call, ids, suspended: flag },
  pause: { call, agent: oneOf("mda", "mta"), paused: flag },
  states: { call, ids },
  waits: { call, ids: list(envelopeId, MAX_WAITS) },
  lanes: { call, most: whole() },
  ages: { call },
};
const runState: Check<RunState> = record<RunState>({
  id: envelopeId,
  state: oneOf("pending", "inflight", "held", "suspended", "unknown"),
  at: finite,
});
const SCHEDULER_TO_CONTROL: MessageTable<SchedulerToControl> = {
  suspended: { call, count: whole() },
  scheduled: { call, count: whole(), next: nullOr(whole()) },
  found: { call, ids, next: nullOr(whole()) },
  paused: { call, changed: flag },
  states: { call, states: list(runState) },
  waits: {
    call,
    waits: list(record<WaitState>({ state: runState, lane: nullOr(laneState) }), MAX_WAITS),
  },
  ages: { call, counts: list(whole(), MAX_AGES), sum: finite, oldest: finite },
  lanes: { call, lanes: list(lane), count: whole(), oldestAt: nullOr(finite) },
};
const CONTROL_SCHEDULER_REPLIES: Replies<ControlToScheduler, SchedulerToControl> = {
  schedule: ["scheduled"],
  find: ["found"],
  suspend: ["suspended"],
  pause: ["paused"],
  states: ["states"],
  waits: ["waits"],
  lanes: ["lanes"],
  ages: ["ages"],
};

const SHOWN = { call, what: oneOf("hosts", "hoststats", "relays", "routes"), slowest: optional(whole()) };
const CONTROL_TO_RELAY: MessageTable<ControlToRelay> = {
  show: SHOWN,
  "show-records": SHOWN,
  "resume-route": { call, route: whole({ least: Number.MIN_SAFE_INTEGER }) },
};
const RELAY_TO_CONTROL: MessageTable<RelayToControl> = {
  shown: { call, lines },
  records: {
    call,
    hosts: optional(list(host)),
    routes: optional(list(route)),
    relays: optional(list(relay)),
    hoststats: optional(list(hostStatus)),
  },
};
const CONTROL_RELAY_REPLIES: Replies<ControlToRelay, RelayToControl> = {
  show: ["shown"],
  "show-records": ["records"],
  "resume-route": ["shown"],
};

const CONTROL_TO_LOOKUP: MessageTable<ControlToLookup> = {
  "update-table": { call, table: text() },
  "table-faults": { call },
};
const LOOKUP_TO_CONTROL: MessageTable<LookupToControl> = {
  updated: { call, error: nullOr(longText) },
  "table-faults": { call, faults: lines },
};
const CONTROL_LOOKUP_REPLIES: Replies<ControlToLookup, LookupToControl> = {
  "update-table": ["updated"],
  "table-faults": ["table-faults"],
};

export const CONTROL_QUEUE = door<ControlToQueue, QueueToControl>(
  CONTROL_TO_QUEUE,
  QUEUE_TO_CONTROL,
  CONTROL_QUEUE_REPLIES,
);
export const CONTROL_SCHEDULER = door<ControlToScheduler, SchedulerToControl>(
  CONTROL_TO_SCHEDULER,
  SCHEDULER_TO_CONTROL,
  CONTROL_SCHEDULER_REPLIES,
);
export const CONTROL_RELAY = door<ControlToRelay, RelayToControl>(
  CONTROL_TO_RELAY,
  RELAY_TO_CONTROL,
  CONTROL_RELAY_REPLIES,
);
export const CONTROL_LOOKUP = door<ControlToLookup, LookupToControl>(
  CONTROL_TO_LOOKUP,
  LOOKUP_TO_CONTROL,
  CONTROL_LOOKUP_REPLIES,
);
