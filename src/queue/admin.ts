/** What smtpctl asks of the queue: listings, texts, bodies, removal, suspension. Large sets go in slices, so that nobody waits for them. */

import { type Envelope, type EnvelopeId, hex8 } from "../envelope/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import type { ControlToQueue, QueueTarget, QueueToControl } from "../protocol/mod.ts";
import type { Discovery } from "./transfer/discover.ts";
import { exportEnvelope } from "./transfer/envelope_parse.ts";
import { formatEnvelope } from "./transfer/envelope_text.ts";
import { envelopeId, envelopeNumber, isEnvelopeId, isMessageId, messageNumber } from "./store/keys.ts";
import { reportGone, tellRemoved } from "./outcomes.ts";
import { Damaged } from "./store/records.ts";
import type { Unreadable } from "./store/rows.ts";
import type { QueueState } from "./queue_state.ts";

/** Envelopes of one listing at most. */
const MAX_LIST = 10_000;
/** Envelopes of one slice of a removal: one transaction, which may write three pages for each. Not less than control names at once. */
const SLICE = 100;
const LAST_NUMBER = 0xffffffff;
const NOWHERE: EnvelopeId = "0000000000000000";

export function serveAdmin(
  queue: QueueState,
  discovery: Discovery,
  channel: Channel<QueueToControl, ControlToQueue>,
): void {
  channel.onmessage = (message) => {
    switch (message.type) {
      case "list":
        return channel.send({ type: "listed", call: message.call, ...list(queue, message) });
      case "envelope":
        return channel.send({ type: "envelope", call: message.call, text: textOf(queue, message.id) });
      case "body":
        return sendBody(queue, channel, message);
      case "damaged":
        return channel.send({ type: "damaged", call: message.call, lines: damagedLines(queue) });
      case "disk-errors": {
        const lines = queue.diskErrors.lines(queue.space.room, queue.quarantine.size);
        return channel.send({ type: "disk-errors", call: message.call, lines });
      }
      case "export":
        return channel.send({ type: "exported", call: message.call, envelopes: exportSlice(queue, message.after) });
      case "discover":
        // It never rejects.
        return void discovery.take(message.message, message.envelope)
          .then((found) => channel.send({ type: "discovered", call: message.call, ...found }));
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
  const wanted = Math.max(1, Math.min(limit, MAX_LIST));
  const listed: Listed[] = [];
  let messages = Math.max(1, question.messages ?? Infinity);
  let current: string | null = null;
  let cursor = isEnvelopeId(after) ? after : NOWHERE;
  // A million of an action that is gone are not worth a line, nor that anybody waits for the end of them.
  for (let scanned = 0; scanned < MAX_LIST; scanned += wanted) {
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
      const of = envelope.id.slice(0, 8);
      if (of !== current && messages-- === 0) return { envelopes: listed, next: listed.at(-1)!.id };
      current = of;
      listed.push({ ...envelope, expiresAt: Math.min(envelope.createdAt, queue.clock.now()) + ttlSeconds * 1000 });
      if (listed.length === wanted) return { envelopes: listed, next: envelope.id };
    }
    if (slice.length < wanted) return { envelopes: listed, next: null };
    cursor = slice[slice.length - 1]!.id;
  }
  return { envelopes: listed, next: cursor };
}

function textOf(queue: QueueState, id: EnvelopeId): string | null {
  const envelope = isEnvelopeId(id) ? queue.envelope(id) : null;
  return envelope === null ? null : formatEnvelope(envelope, queue.ttlOf(envelope));
}

function sendBody(
  queue: QueueState,
  channel: Channel<QueueToControl, ControlToQueue>,
  { call, message, index }: Extract<ControlToQueue, { type: "body" }>,
): void {
  const number = isMessageId(message) ? messageNumber(message) : 0;
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
  return queue.quarantine.has(messageNumber(id), envelopeNumber(id));
}

function damagedLines(queue: QueueState): string[] {
  const rows = queue.quarantine.rows().sort((a, b) => a.message - b.message || a.id - b.id);
  return rows.map(({ message, id, reason, found_at }) => {
    const what = id === 0 ? `message ${hex8(message)}` : `envelope ${envelopeId(message, id)}`;
    return `${what}|${new Date(found_at).toISOString()}|${reason}`;
  });
}

/** Envelopes of the target after `cursor`, in order of id. */
function sliceAfter(
  queue: QueueState,
  target: QueueTarget,
  cursor: EnvelopeId,
  limit: number,
): (Envelope | Unreadable)[] {
  const { store } = queue;
  if (target === "all") return store.list(messageNumber(cursor), envelopeNumber(cursor), LAST_NUMBER, limit);
  if ("envelope" in target || "ids" in target) {
    return ("ids" in target ? target.ids.slice(0, limit) : [target.envelope])
      .filter((id) => isEnvelopeId(id) && cursor < id)
      .flatMap((id) => {
        const number = envelopeNumber(id);
        return store.list(messageNumber(id), number - 1, messageNumber(id), 1).filter((found) => found.id === id);
      });
  }
  if (!isMessageId(target.message)) return [];
  const message = messageNumber(target.message);
  const within = messageNumber(cursor) === message;
  return store.list(message, within ? envelopeNumber(cursor) : 0, message, limit);
}

/** Text forms of the envelopes after this one. */
function exportSlice(queue: QueueState, after: EnvelopeId): { id: EnvelopeId; text: string | null }[] {
  return sliceAfter(queue, "all", isEnvelopeId(after) ? after : NOWHERE, SLICE)
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
type Asked<Type> = Extract<ControlToQueue, { type: Type }>;

/** The slice that is asked for, and where the next one begins. */
function cut(
  queue: QueueState,
  target: QueueTarget,
  after: EnvelopeId,
): { slice: (Envelope | Unreadable)[]; next: EnvelopeId | null } {
  const slice = sliceAfter(queue, target, isEnvelopeId(after) ? after : NOWHERE, SLICE);
  const whole = target !== "all" && !("message" in target);
  return { slice, next: whole || slice.length < SLICE ? null : slice[slice.length - 1]!.id };
}

/** A message that is set aside as a whole goes with its last slice, if it is named: it may have no envelopes. */
function wholeDamaged(queue: QueueState, target: QueueTarget, next: EnvelopeId | null): number | null {
  if (target === "all" || !("message" in target) || next !== null || !isMessageId(target.message)) return null;
  const message = messageNumber(target.message);
  return queue.quarantine.has(message, 0) ? message : null;
}

function removeSlice(queue: QueueState, { target, after }: Asked<"remove">, answer: (slice: Slice) => void): void {
  const { slice, next } = cut(queue, target, after);
  // What is damaged goes only when it is named.
  const wanted = target === "all" ? slice.filter((each) => !isQuarantined(queue, each)) : slice;
  let gone: (Envelope | Unreadable)[] = [];
  let erase: number[] = [];
  const whole = wholeDamaged(queue, target, next);
  queue.commits.now({
    frees: true,
    apply: () => {
      gone = wanted.filter(({ id }) => queue.store.removeEnvelope(messageNumber(id), envelopeNumber(id)));
      for (const each of gone) {
        if (isQuarantined(queue, each)) queue.store.forgetDamage(messageNumber(each.id), envelopeNumber(each.id));
      }
      const messages = new Set(gone.map(({ id }) => messageNumber(id)));
      erase = [...messages].filter((message) => queue.store.sweep(message));
      if (whole !== null && queue.store.discard(whole)) erase.push(whole);
    },
    done: () => {
      for (const envelope of gone) {
        queue.recent.removeEnvelope(messageNumber(envelope.id), envelopeNumber(envelope.id));
        if (isQuarantined(queue, envelope)) queue.quarantine.forget(messageNumber(envelope.id), envelopeNumber(envelope.id));
        if ("unreadable" in envelope) queue.warn(`queue: damaged envelope ${envelope.id} is removed by administrator`);
        else reportGone(queue, "queue-remove", envelope, "Removed by administrator");
        tellRemoved(queue, envelope.id);
      }
      const ids = gone.map(({ id }) => id);
      if (whole !== null) queue.quarantine.forget(whole, 0);
      queue.dropped(ids);
      for (const message of erase) queue.erase(message);
      answer(whole === null ? { ids, next } : { ids, next, whole: true });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}

function suspendSlice(
  queue: QueueState,
  { target, after, suspended }: Asked<"suspend">,
  answer: (slice: Slice) => void,
): void {
  const { slice, next } = cut(queue, target, after);
  let ids: EnvelopeId[] = [];
  queue.commits.now({
    frees: true,
    apply: () => {
      ids = slice.map(({ id }) => id)
        .filter((id) => queue.store.setSuspended(messageNumber(id), envelopeNumber(id), suspended));
    },
    done: () => {
      for (const id of ids) queue.recent.setState(messageNumber(id), envelopeNumber(id), { suspended });
      answer({ ids, next });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}
