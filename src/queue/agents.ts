/** Relay and delivery pull messages here and tell how it went. */

import { systemReason } from "../events/mod.ts";
import type { Envelope, EnvelopeId, Outcome } from "../envelope/mod.ts";
import type { AgentToQueue, QueueToAgent } from "../protocol/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import { envelopeNumber, isEnvelopeId, isMessageId, MAX_CHUNKS, messageNumber } from "./store/keys.ts";
import { recordOutcome } from "./outcomes.ts";
import { Damaged } from "./store/records.ts";
import { databaseFault } from "./disk_errors.ts";
import type { QueueState } from "./queue_state.ts";

/** Envelopes of one job at most. */
const MAX_IDS = 1000;
const EMPTY = new Uint8Array(0);

/** Serves relay (`mta`) or delivery (`mda`). */
export function serveAgent(
  vault: QueueState,
  agent: "mda" | "mta",
  channel: Channel<QueueToAgent, AgentToQueue>,
): void {
  channel.onmessage = (message) => {
    switch (message.type) {
      case "open":
        return open(vault, channel, message);
      case "read":
        return read(vault, channel, message);
      case "outcome":
        if (isEnvelopeId(message.id) && isOutcome(message.outcome)) {
          recordOutcome(vault, agent, message.id, message.outcome);
        }
        return;
    }
  };
}

function open(
  vault: QueueState,
  channel: Channel<QueueToAgent, AgentToQueue>,
  { call, message, ids }: Extract<AgentToQueue, { type: "open" }>,
): void {
  if (!isMessageId(message) || !Array.isArray(ids) || ids.length > MAX_IDS) {
    return channel.send({ type: "unreadable", call, text: "The question makes no sense" });
  }
  const number = messageNumber(message);
  const tellMissing = (found: readonly Envelope[]) => {
    if (found.length === ids.length) return;
    const there = new Set(found.map(({ id }) => id));
    vault.dropped(ids.filter((id) => isEnvelopeId(id) && !there.has(id)));
  };
  const accepted = vault.acceptanceOf(number);
  const recent = vault.recent.get(number);
  vault.tally.add(recent === undefined ? "queue.evpcache.load.missed" : "queue.evpcache.load.hit");
  vault.tally.set("queue.evpcache.size", vault.recent.size);
  if (recent !== undefined) {
    const envelopes: Envelope[] = [];
    for (const id of ids) {
      const envelope = recent.envelopes.get(envelopeNumber(id));
      if (envelope !== undefined) envelopes.push(accepted === undefined ? envelope : { ...envelope, accepted });
    }
    const { bytes, chunks, first } = recent;
    tellMissing(envelopes);
    return channel.send({ type: "opened", call, envelopes, bytes, chunks, first });
  }
  const refuse = (error: unknown) =>
    channel.send({ type: "unreadable", call, text: complain(vault, message, error, ids.filter(isEnvelopeId)) });
  try {
    const envelopes = ids.filter((id) => isEnvelopeId(id) && id.startsWith(message))
      .map((id) => vault.envelope(id)).filter((each) => each !== null)
      .map((envelope) => accepted === undefined ? envelope : { ...envelope, accepted });
    tellMissing(envelopes);
    const stored = vault.store.message(number);
    // Without envelopes there is nothing to deliver, and nothing to wonder about.
    if (stored === null && envelopes.length > 0) throw new Damaged("its text is missing");
    const { bytes, chunks } = stored ?? { bytes: 0, chunks: 0 };
    // The row of a message has no checksum: a smaller number in it would cut the text short, and nobody would know.
    if (stored !== null && chunks !== vault.store.chunksOf(number)) {
      throw new Damaged("the number of its parts is altered");
    }
    const first = chunks === 0 ? EMPTY.slice() : chunkOf(vault, number, 0);
    const answer = (first: Uint8Array<ArrayBuffer>) => {
      if (chunks < 2 && first.length !== bytes) return refuse(new Damaged("its size is altered"));
      channel.send({ type: "opened", call, envelopes, bytes, chunks, first }, [first.buffer]);
    };
    if (first instanceof Promise) first.then(answer, (error) => vault.guard(() => refuse(error)));
    else answer(first);
  } catch (error) {
    refuse(error);
  }
}

function read(
  vault: QueueState,
  channel: Channel<QueueToAgent, AgentToQueue>,
  { call, message, index }: Extract<AgentToQueue, { type: "read" }>,
): void {
  if (!isMessageId(message) || !Number.isInteger(index) || index < 0 || index >= MAX_CHUNKS) {
    return channel.send({ type: "unreadable", call, text: "The question makes no sense" });
  }
  const answer = (bytes: Uint8Array<ArrayBuffer>) => channel.send({ type: "chunk", call, bytes }, [bytes.buffer]);
  const refuse = (error: unknown) =>
    channel.send({ type: "unreadable", call, text: complain(vault, message, error, []) });
  try {
    if (vault.store.message(messageNumber(message)) === null) {
      return channel.send({ type: "unreadable", call, text: "The message is not in the queue" });
    }
    const bytes = chunkOf(vault, messageNumber(message), index);
    if (bytes instanceof Promise) bytes.then(answer, (error) => vault.guard(() => refuse(error)));
    else answer(bytes);
  } catch (error) {
    refuse(error);
  }
}

/** A promise when it is opened off the thread. Answers name their call, so that they may overtake each other. */
function chunkOf(
  vault: QueueState,
  message: number,
  index: number,
): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
  const bytes = vault.store.chunk(message, index);
  if (bytes === null) throw new Damaged(`part ${index + 1} of its text is missing`);
  return bytes;
}

function complain(vault: QueueState, message: string, error: unknown, ids: readonly EnvelopeId[]): string {
  if (error instanceof Damaged) {
    vault.aside.message(messageNumber(message), error.message, ids);
    return "The message is damaged";
  }
  vault.troubles.note(error, vault.clock.now());
  if (databaseFault(error) === "corrupt") vault.malformed(error);
  const text = systemReason(error);
  vault.emit({ type: "log", level: "crit", text: `queue: cannot read message ${message}: ${text}` });
  return "The message cannot be read from the spool";
}

function isOutcome(outcome: Outcome): boolean {
  if (typeof outcome !== "object" || outcome === null || typeof outcome.text !== "string") return false;
  if (outcome.result === "ok") return true;
  if (outcome.remote !== undefined && typeof outcome.remote !== "string") return false;
  if (outcome.result !== "tempfail" && outcome.result !== "permfail" && outcome.result !== "loop") return false;
  return typeof outcome.status === "object" && /^\d{1,3}\.\d{1,3}$/.test(outcome.status.code);
}
