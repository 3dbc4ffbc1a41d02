/** What smtpctl asks of the queue: listings, texts, bodies, removal, suspension. Large sets go in slices, so that other work does not wait for them. */

import {
  type Envelope,
  type EnvelopeCursor,
  type EnvelopeId,
  type EnvelopeNumber,
  isEnvelopeId,
  isMessageId,
  type MessageId,
  type MessageNumber,
  messageNumber,
  messageOf,
  rowOf,
} from "../envelope/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import type { ControlToQueue, DamagedEntry, QueueTarget, QueueToControl } from "../protocol/mod.ts";
import type { Discovery } from "./transfer/discover.ts";
import { exportEnvelope } from "./transfer/envelope_parse.ts";
import { formatEnvelope } from "./transfer/envelope_text.ts";
import { reportGone, traceRemoved } from "./outcomes.ts";
import { Damaged } from "./store/records.ts";
import type { Unreadable } from "./store/rows.ts";
import type { BackupHold } from "./backup.ts";
import { FIRST_ROW, LAST_MESSAGE, wholeMessage } from "./store/ranges.ts";
import { nameOf } from "./repair/quarantine.ts";
import type { QueueState } from "./queue_state.ts";

/** Envelopes of one listing at most. */
const MAX_LISTED_ENVELOPES = 10_000;
/** Envelopes of one slice of a removal: one transaction, which may write three pages for each. Not less than control names at once. */
const SLICE_ENVELOPES = 100;

/** Answers control, which speaks for smtpctl and the admin page, at `channel`. Nothing of the channel is kept: it may be replaced at any time. */
export function serveAdmin(
  queue: QueueState,
  { discovery, backup }: { readonly discovery: Discovery; readonly backup: BackupHold },
  channel: Channel<QueueToControl, ControlToQueue>,
): void {
  channel.onmessage = (message) => {
    switch (message.type) {
      case "list":
        return channel.send({ type: "listed", call: message.call, ...list(queue, message) });
      case "envelope":
        return channel.send({ type: "envelope", call: message.call, ...envelopeOf(queue, message.id) });
      case "body":
        return sendBody(queue, channel, message);
      case "damaged":
        return channel.send({ type: "damaged", call: message.call, entries: damagedEntries(queue) });
      case "disk-errors": {
        const lines = queue.diskErrors.lines({ room: queue.space.room, damaged: queue.quarantine.size });
        const { disk } = queue.space;
        const sizes = disk === null ? {} : { disk: { total: disk.total, free: disk.free } };
        return channel.send({ type: "disk-errors", call: message.call, lines, ...sizes });
      }
      case "export":
        return channel.send({ type: "exported", call: message.call, envelopes: exportSlice(queue, message.after) });
      case "discover":
        // It never rejects.
        return void discovery.take(message.message, message.envelope)
          .then((found) => channel.send({ type: "discovered", call: message.call, ...found }));
      case "backup": {
        const { call, step, hold } = message;
        const done = step === "begin" ? backup.begin() : step === "keep" ? backup.keep(hold) : backup.end(hold);
        return channel.send({ type: "backup", call, ...done });
      }
      case "remove":
        return removeSlice(queue, message, (slice) => channel.send({ type: "removed", call: message.call, ...slice }));
      case "suspend":
        return suspendSlice(
          queue,
          message,
          (slice) => channel.send({ type: "suspended", call: message.call, ...slice }),
        );
    }
  };
}

type Listed = Envelope & { readonly expiresAt: number };

function list(
  queue: QueueState,
  question: Extract<ControlToQueue, { type: "list" }>,
): { envelopes: Listed[]; next: EnvelopeId | null } {
  const { message, after, limit } = question;
  if (message !== null && !isMessageId(message)) return { envelopes: [], next: null };
  const target: QueueTarget = message === null ? "all" : { message };
  const wanted = Math.max(1, Math.min(limit, MAX_LISTED_ENVELOPES));
  const listed: Listed[] = [];
  let messages = Math.max(1, question.messages ?? Infinity);
  let current: MessageId | null = null;
  let cursor = after;
  // A million of an action that is gone are not listed, and no caller waits for the end of them.
  for (let scanned = 0; scanned < MAX_LISTED_ENVELOPES; scanned += wanted) {
    const slice = sliceAfter(queue, target, cursor, wanted);
    for (const envelope of slice) {
      // Those have a list of their own.
      if ("unreadable" in envelope) {
        queue.quarantine.envelope(envelope.id, envelope.unreadable);
        continue;
      }
      const ttlSeconds = queue.ttlSeconds(envelope.action);
      // An envelope of an action that is no longer configured stands still and is not listed.
      if (ttlSeconds === null) continue;
      const of = messageOf(envelope.id);
      if (of !== current && messages-- === 0) return { envelopes: listed, next: listed.at(-1)!.id };
      current = of;
      listed.push(withExpiry(queue, envelope, ttlSeconds));
      if (listed.length === wanted) return { envelopes: listed, next: envelope.id };
    }
    if (slice.length < wanted) return { envelopes: listed, next: null };
    cursor = slice[slice.length - 1]!.id;
  }
  return { envelopes: listed, next: cursor === "" ? null : cursor };
}

function envelopeOf(queue: QueueState, id: EnvelopeId): { text: string | null; envelope: Listed | null } {
  const found = isEnvelopeId(id) ? queue.envelope(id) : null;
  if (found === null) return { text: null, envelope: null };
  const ttlSeconds = queue.ttlOf(found);
  return { text: formatEnvelope(found, ttlSeconds), envelope: withExpiry(queue, found, ttlSeconds) };
}

function withExpiry(queue: QueueState, envelope: Envelope, ttlSeconds: number): Listed {
  return { ...envelope, expiresAt: Math.min(envelope.createdAt, queue.clock.now()) + ttlSeconds * 1000 };
}

function sendBody(
  queue: QueueState,
  channel: Channel<QueueToControl, ControlToQueue>,
  { call, message, index }: Extract<ControlToQueue, { type: "body" }>,
): void {
  const number = messageNumber(message);
  const found = queue.store.message(number);
  if (found === null) return channel.send({ type: "body", call, chunks: 0, bytes: null });
  const answer = (bytes: Uint8Array<ArrayBuffer>) =>
    channel.send({ type: "body", call, chunks: found.chunks, bytes }, [bytes.buffer]);
  const complain = (error: unknown) => {
    if (!(error instanceof Damaged)) throw error;
    answer(new TextEncoder().encode(`\n[This part of the message is damaged: ${error.message}]\n`));
  };
  try {
    const bytes = queue.store.chunk(number, index) ?? new Uint8Array(0);
    if (bytes instanceof Promise) bytes.then(answer, complain);
    else answer(bytes);
  } catch (error) {
    complain(error);
  }
}

function isQuarantined(queue: QueueState, { id }: { readonly id: EnvelopeId }): boolean {
  return queue.quarantine.has(rowOf(id));
}

function damagedEntries(queue: QueueState): DamagedEntry[] {
  const rows = queue.quarantine.rows().sort((a, b) => a.message - b.message || a.envelope - b.envelope);
  return rows.map((row) => ({ id: nameOf(row), foundAt: row.found_at, reason: row.reason }));
}

/** Envelopes of the target after `cursor`, in order of id. */
function sliceAfter(
  queue: QueueState,
  target: QueueTarget,
  cursor: EnvelopeCursor,
  limit: number,
): (Envelope | Unreadable)[] {
  const { store } = queue;
  const after = cursor === "" ? FIRST_ROW : rowOf(cursor);
  if (target === "all") return store.list({ after, last: LAST_MESSAGE }, limit);
  if ("envelope" in target || "ids" in target) {
    return ("ids" in target ? target.ids.slice(0, limit) : [target.envelope])
      .filter((id) => isEnvelopeId(id) && cursor < id)
      .flatMap((id) => {
        const { message, envelope } = rowOf(id);
        const range = { after: { message, envelope: envelope - 1 as EnvelopeNumber }, last: message };
        return store.list(range, 1).filter((found) => found.id === id);
      });
  }
  if (!isMessageId(target.message)) return [];
  const message = messageNumber(target.message);
  return store.list({ after: after.message === message ? after : wholeMessage(message), last: message }, limit);
}

/** Text forms of the envelopes after this one. */
function exportSlice(queue: QueueState, after: EnvelopeCursor): { id: EnvelopeId; text: string | null }[] {
  return sliceAfter(queue, "all", after, SLICE_ENVELOPES)
    .map((each) =>
      "unreadable" in each
        ? { id: each.id, text: null }
        : { id: each.id, text: exportEnvelope(each, queue.ttlOf(each)) }
    );
}

interface Slice {
  readonly ids: EnvelopeId[];
  readonly next: EnvelopeId | null;
  readonly whole?: true;
}
type Question<Type> = Extract<ControlToQueue, { type: Type }>;

/** The slice that is asked for, and where the next one begins. */
function cut(
  queue: QueueState,
  target: QueueTarget,
  after: EnvelopeCursor,
): { slice: (Envelope | Unreadable)[]; next: EnvelopeId | null } {
  const slice = sliceAfter(queue, target, after, SLICE_ENVELOPES);
  const whole = target !== "all" && !("message" in target);
  return { slice, next: whole || slice.length < SLICE_ENVELOPES ? null : slice[slice.length - 1]!.id };
}

/** A message that is set aside as a whole goes with its last slice, if it is named: it may have no envelopes. */
function wholeDamaged(queue: QueueState, target: QueueTarget, next: EnvelopeId | null): MessageNumber | null {
  if (target === "all" || !("message" in target) || next !== null || !isMessageId(target.message)) return null;
  const message = messageNumber(target.message);
  return queue.quarantine.has(wholeMessage(message)) ? message : null;
}

function removeSlice(queue: QueueState, { target, after }: Question<"remove">, answer: (slice: Slice) => void): void {
  const { slice, next } = cut(queue, target, after);
  // What is damaged goes only when it is named.
  const wanted = target === "all" ? slice.filter((each) => !isQuarantined(queue, each)) : slice;
  let gone: (Envelope | Unreadable)[] = [];
  let erase: MessageNumber[] = [];
  const whole = wholeDamaged(queue, target, next);
  queue.commits.now({
    frees: true,
    apply: () => {
      gone = wanted.filter(({ id }) => queue.store.removeEnvelope(rowOf(id)));
      for (const each of gone) {
        if (isQuarantined(queue, each)) queue.store.forgetDamage(rowOf(each.id));
      }
      const messages = new Set(gone.map(({ id }) => messageNumber(id)));
      erase = [...messages].filter((message) => queue.store.sweep(message));
      if (whole !== null && queue.store.discard(whole)) erase.push(whole);
    },
    done: () => {
      for (const envelope of gone) {
        const row = rowOf(envelope.id);
        queue.recent.removeEnvelope(row);
        if (isQuarantined(queue, envelope)) {
          queue.quarantine.forget(row);
        }
        if ("unreadable" in envelope) queue.warn(`queue: damaged envelope ${envelope.id} is removed by administrator`);
        else reportGone(queue, "queue-remove", envelope, "Removed by administrator");
        traceRemoved(queue, envelope.id);
      }
      const ids = gone.map(({ id }) => id);
      if (whole !== null) queue.quarantine.forget(wholeMessage(whole));
      queue.dropped(ids);
      for (const message of erase) queue.erase(message);
      answer(whole === null ? { ids, next } : { ids, next, whole: true });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}

function suspendSlice(
  queue: QueueState,
  { target, after, suspended }: Question<"suspend">,
  answer: (slice: Slice) => void,
): void {
  const { slice, next } = cut(queue, target, after);
  let ids: EnvelopeId[] = [];
  queue.commits.now({
    frees: true,
    apply: () => {
      ids = slice.map(({ id }) => id)
        .filter((id) => queue.store.setSuspended(rowOf(id), { suspended }));
    },
    done: () => {
      for (const id of ids) queue.recent.setState(rowOf(id), { suspended });
      answer({ ids, next });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}
