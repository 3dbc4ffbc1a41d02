/** The doors of relay and delivery, which read messages here and report the outcome of each envelope. */

import { systemReason } from "../events/mod.ts";
import {
  type Envelope,
  type EnvelopeId,
  envelopeNumber,
  isEnvelopeId,
  isEnvelopeOf,
  isMessageId,
  type MessageId,
  type MessageNumber,
  messageNumber,
  type Outcome,
} from "../envelope/mod.ts";
import type { AgentToQueue, QueueToAgent } from "../protocol/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import { MAX_CHUNKS } from "./store/chunk_key.ts";
import { recordOutcome } from "./outcomes.ts";
import { Damaged } from "./store/records.ts";
import { databaseFault } from "./store/disk_errors.ts";
import type { QueueState } from "./queue_state.ts";

/** Envelopes of one job at most. */
const MAX_IDS = 1000;
const EMPTY = new Uint8Array(0);

/** Serves relay (`agent` is `mta`) or delivery (`mda`) at `channel`: only outcomes of envelopes of that agent count. */
export function serveAgent(
  queue: QueueState,
  agent: "mda" | "mta",
  channel: Channel<QueueToAgent, AgentToQueue>,
): void {
  channel.onmessage = (message) => {
    switch (message.type) {
      case "open":
        return open(queue, channel, message);
      case "read":
        return read(queue, channel, message);
      case "outcome":
        if (isEnvelopeId(message.id) && isOutcome(message.outcome)) {
          recordOutcome(queue, agent, message.id, message.outcome);
        }
        return;
    }
  };
}

function open(
  queue: QueueState,
  channel: Channel<QueueToAgent, AgentToQueue>,
  { call, message, ids }: Extract<AgentToQueue, { type: "open" }>,
): void {
  if (!isMessageId(message) || !Array.isArray(ids) || ids.length > MAX_IDS) {
    return channel.send({ type: "unreadable", call, text: "The question makes no sense" });
  }
  const number = messageNumber(message);
  const dropMissing = (found: readonly Envelope[]) => {
    if (found.length === ids.length) return;
    const there = new Set(found.map(({ id }) => id));
    queue.dropped(ids.filter((id) => isEnvelopeId(id) && !there.has(id)));
  };
  const accepted = queue.acceptanceOf(number);
  const recent = queue.recent.get(number);
  queue.tally.add(recent === undefined ? "queue.evpcache.load.missed" : "queue.evpcache.load.hit");
  queue.tally.set("queue.evpcache.size", queue.recent.size);
  if (recent !== undefined) {
    const envelopes: Envelope[] = [];
    for (const id of ids) {
      const envelope = recent.envelopes.get(envelopeNumber(id));
      if (envelope !== undefined) envelopes.push(accepted === undefined ? envelope : { ...envelope, accepted });
    }
    const { bytes, chunks, first } = recent;
    dropMissing(envelopes);
    return channel.send({ type: "opened", call, envelopes, bytes, chunks, first });
  }
  const refuse = (error: unknown) =>
    channel.send({ type: "unreadable", call, text: complain(queue, message, error, ids.filter(isEnvelopeId)) });
  try {
    const envelopes = ids.filter((id) => isEnvelopeId(id) && isEnvelopeOf(message, id))
      .map((id) => queue.envelope(id)).filter((each) => each !== null)
      .map((envelope) => accepted === undefined ? envelope : { ...envelope, accepted });
    dropMissing(envelopes);
    const stored = queue.store.message(number);
    // Without envelopes there is nothing to deliver.
    if (stored === null && envelopes.length > 0) throw new Damaged("its text is missing");
    const { bytes, chunks } = stored ?? { bytes: 0, chunks: 0 };
    // The row of a message has no checksum: a smaller number in it would cut the text short, unnoticed.
    if (stored !== null && chunks !== queue.store.chunksOf(number)) {
      throw new Damaged("the number of its parts is altered");
    }
    const first = chunks === 0 ? EMPTY.slice() : chunkOf(queue, number, 0);
    const answer = (first: Uint8Array<ArrayBuffer>) => {
      if (chunks < 2 && first.length !== bytes) return refuse(new Damaged("its size is altered"));
      channel.send({ type: "opened", call, envelopes, bytes, chunks, first }, [first.buffer]);
    };
    if (first instanceof Promise) first.then(answer, (error) => queue.guard(() => refuse(error)));
    else answer(first);
  } catch (error) {
    refuse(error);
  }
}

function read(
  queue: QueueState,
  channel: Channel<QueueToAgent, AgentToQueue>,
  { call, message, index }: Extract<AgentToQueue, { type: "read" }>,
): void {
  if (!isMessageId(message) || !Number.isInteger(index) || index < 0 || index >= MAX_CHUNKS) {
    return channel.send({ type: "unreadable", call, text: "The question makes no sense" });
  }
  const answer = (bytes: Uint8Array<ArrayBuffer>) => channel.send({ type: "chunk", call, bytes }, [bytes.buffer]);
  const refuse = (error: unknown) =>
    channel.send({ type: "unreadable", call, text: complain(queue, message, error, []) });
  try {
    if (queue.store.message(messageNumber(message)) === null) {
      return channel.send({ type: "unreadable", call, text: "The message is not in the queue" });
    }
    const bytes = chunkOf(queue, messageNumber(message), index);
    if (bytes instanceof Promise) bytes.then(answer, (error) => queue.guard(() => refuse(error)));
    else answer(bytes);
  } catch (error) {
    refuse(error);
  }
}

/** A promise when it is opened off the thread. Answers name their call, so that they may overtake each other. */
function chunkOf(
  queue: QueueState,
  message: MessageNumber,
  index: number,
): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
  const bytes = queue.store.chunk(message, index);
  if (bytes === null) throw new Damaged(`part ${index + 1} of its text is missing`);
  return bytes;
}

function complain(queue: QueueState, message: MessageId, error: unknown, ids: readonly EnvelopeId[]): string {
  if (error instanceof Damaged) {
    queue.quarantine.message(messageNumber(message), error.message, ids);
    return "The message is damaged";
  }
  queue.diskErrors.note(error, queue.clock.now());
  if (databaseFault(error) === "corrupt") queue.malformed(error);
  const text = systemReason(error);
  queue.emit({ type: "log", level: "crit", text: `queue: cannot read message ${message}: ${text}` });
  return "The message cannot be read from the spool";
}

function isOutcome(outcome: Outcome): boolean {
  if (typeof outcome !== "object" || outcome === null || typeof outcome.text !== "string") return false;
  if (outcome.result === "ok") return true;
  if (outcome.remote !== undefined && typeof outcome.remote !== "string") return false;
  if (outcome.result !== "tempfail" && outcome.result !== "permfail" && outcome.result !== "loop") return false;
  return typeof outcome.status === "object" && /^\d{1,3}\.\d{1,3}$/.test(outcome.status.code);
}
