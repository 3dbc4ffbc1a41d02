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
  vault: QueueState,
  discovery: Discovery,
  channel: Channel<QueueToControl, ControlToQueue>,
): void {
  channel.onmessage = (message) => {
    switch (message.type) {
      case "list":
        return channel.send({ type: "listed", call: message.call, ...list(vault, message) });
      case "envelope":
        return channel.send({ type: "envelope", call: message.call, text: textOf(vault, message.id) });
      case "body":
        return sendBody(vault, channel, message);
      case "damaged":
        return channel.send({ type: "damaged", call: message.call, lines: damagedLines(vault) });
      case "troubles": {
        const lines = vault.troubles.lines(vault.space.room, vault.aside.size);
        return channel.send({ type: "troubles", call: message.call, lines });
      }
      case "export":
        return channel.send({ type: "exported", call: message.call, envelopes: exportSlice(vault, message.after) });
      case "discover":
        // It never rejects.
        return void discovery.take(message.message, message.envelope)
          .then((found) => channel.send({ type: "discovered", call: message.call, ...found }));
      case "remove":
        return removeSlice(vault, message, (slice) => channel.send({ type: "removed", call: message.call, ...slice }));
      case "suspend":
        return suspendSlice(
          vault,
          message,
          (slice) => channel.send({ type: "suspended", call: message.call, ...slice }),
        );
    }
  };
}

type Listed = Envelope & { readonly expiresAt: number };

function list(
  vault: QueueState,
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
    const slice = sliceAfter(vault, target, cursor, wanted);
    for (const envelope of slice) {
      // Those have a list of their own.
      if ("unreadable" in envelope) {
        vault.aside.envelope(envelope.id, envelope.unreadable);
        continue;
      }
      const ttlSeconds = vault.ttlSeconds(envelope.action);
      // An envelope of an action that is no longer configured stands still and is not listed.
      if (ttlSeconds === null) continue;
      const of = envelope.id.slice(0, 8);
      if (of !== current && messages-- === 0) return { envelopes: listed, next: listed.at(-1)!.id };
      current = of;
      listed.push({ ...envelope, expiresAt: Math.min(envelope.createdAt, vault.clock.now()) + ttlSeconds * 1000 });
      if (listed.length === wanted) return { envelopes: listed, next: envelope.id };
    }
    if (slice.length < wanted) return { envelopes: listed, next: null };
    cursor = slice[slice.length - 1]!.id;
  }
  return { envelopes: listed, next: cursor };
}

function textOf(vault: QueueState, id: EnvelopeId): string | null {
  const envelope = isEnvelopeId(id) ? vault.envelope(id) : null;
  return envelope === null ? null : formatEnvelope(envelope, vault.ttlOf(envelope));
}

function sendBody(
  vault: QueueState,
  channel: Channel<QueueToControl, ControlToQueue>,
  { call, message, index }: Extract<ControlToQueue, { type: "body" }>,
): void {
  const number = isMessageId(message) ? messageNumber(message) : 0;
  const found = vault.store.message(number);
  if (found === null) return channel.send({ type: "body", call, chunks: 0, bytes: null });
  const answer = (bytes: Uint8Array<ArrayBuffer>) =>
    channel.send({ type: "body", call, chunks: found.chunks, bytes }, [bytes.buffer]);
  const complain = (error: unknown) => {
    if (!(error instanceof Damaged)) throw error;
    answer(new TextEncoder().encode(`\n[This part of the message is damaged: ${error.message}]\n`));
  };
  try {
    const bytes = vault.store.chunk(number, index) ?? new Uint8Array(0);
    if (bytes instanceof Promise) bytes.then(answer, complain);
    else answer(bytes);
  } catch (error) {
    complain(error);
  }
}

function isAside(vault: QueueState, { id }: { readonly id: EnvelopeId }): boolean {
  return vault.aside.has(messageNumber(id), envelopeNumber(id));
}

function damagedLines(vault: QueueState): string[] {
  const rows = vault.aside.rows().sort((a, b) => a.message - b.message || a.id - b.id);
  return rows.map(({ message, id, reason, found_at }) => {
    const what = id === 0 ? `message ${hex8(message)}` : `envelope ${envelopeId(message, id)}`;
    return `${what}|${new Date(found_at).toISOString()}|${reason}`;
  });
}

/** Envelopes of the target after `cursor`, in order of id. */
function sliceAfter(
  vault: QueueState,
  target: QueueTarget,
  cursor: EnvelopeId,
  limit: number,
): (Envelope | Unreadable)[] {
  const { store } = vault;
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
function exportSlice(vault: QueueState, after: EnvelopeId): { id: EnvelopeId; text: string | null }[] {
  return sliceAfter(vault, "all", isEnvelopeId(after) ? after : NOWHERE, SLICE)
    .map((each) =>
      "unreadable" in each
        ? { id: each.id, text: null }
        : { id: each.id, text: exportEnvelope(each, vault.ttlOf(each)) }
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
  vault: QueueState,
  target: QueueTarget,
  after: EnvelopeId,
): { slice: (Envelope | Unreadable)[]; next: EnvelopeId | null } {
  const slice = sliceAfter(vault, target, isEnvelopeId(after) ? after : NOWHERE, SLICE);
  const whole = target !== "all" && !("message" in target);
  return { slice, next: whole || slice.length < SLICE ? null : slice[slice.length - 1]!.id };
}

/** A message that is set aside as a whole goes with its last slice, if it is named: it may have no envelopes. */
function wholeDamaged(vault: QueueState, target: QueueTarget, next: EnvelopeId | null): number | null {
  if (target === "all" || !("message" in target) || next !== null || !isMessageId(target.message)) return null;
  const message = messageNumber(target.message);
  return vault.aside.has(message, 0) ? message : null;
}

function removeSlice(vault: QueueState, { target, after }: Asked<"remove">, answer: (slice: Slice) => void): void {
  const { slice, next } = cut(vault, target, after);
  // What is damaged goes only when it is named.
  const wanted = target === "all" ? slice.filter((each) => !isAside(vault, each)) : slice;
  let gone: (Envelope | Unreadable)[] = [];
  let erase: number[] = [];
  const whole = wholeDamaged(vault, target, next);
  vault.commits.now({
    frees: true,
    apply: () => {
      gone = wanted.filter(({ id }) => vault.store.removeEnvelope(messageNumber(id), envelopeNumber(id)));
      for (const each of gone) {
        if (isAside(vault, each)) vault.store.forgetDamage(messageNumber(each.id), envelopeNumber(each.id));
      }
      const messages = new Set(gone.map(({ id }) => messageNumber(id)));
      erase = [...messages].filter((message) => vault.store.sweep(message));
      if (whole !== null && vault.store.discard(whole)) erase.push(whole);
    },
    done: () => {
      for (const envelope of gone) {
        vault.recent.removeEnvelope(messageNumber(envelope.id), envelopeNumber(envelope.id));
        if (isAside(vault, envelope)) vault.aside.forget(messageNumber(envelope.id), envelopeNumber(envelope.id));
        if ("unreadable" in envelope) vault.warn(`queue: damaged envelope ${envelope.id} is removed by administrator`);
        else reportGone(vault, "queue-remove", envelope, "Removed by administrator");
        tellRemoved(vault, envelope.id);
      }
      const ids = gone.map(({ id }) => id);
      if (whole !== null) vault.aside.forget(whole, 0);
      vault.dropped(ids);
      for (const message of erase) vault.erase(message);
      answer(whole === null ? { ids, next } : { ids, next, whole: true });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}

function suspendSlice(
  vault: QueueState,
  { target, after, suspended }: Asked<"suspend">,
  answer: (slice: Slice) => void,
): void {
  const { slice, next } = cut(vault, target, after);
  let ids: EnvelopeId[] = [];
  vault.commits.now({
    frees: true,
    apply: () => {
      ids = slice.map(({ id }) => id)
        .filter((id) => vault.store.setSuspended(messageNumber(id), envelopeNumber(id), suspended));
    },
    done: () => {
      for (const id of ids) vault.recent.setState(messageNumber(id), envelopeNumber(id), { suspended });
      answer({ ids, next });
    },
    failed: () => answer({ ids: [], next: null }),
  });
}
