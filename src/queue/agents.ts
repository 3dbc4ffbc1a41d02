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
  messageOf,
  type Outcome,
} from "../envelope/mod.ts";
import type { AgentToQueue, QueueToAgent } from "../protocol/mod.ts";
import { MAX_JOB_ENVELOPES } from "../protocol/queue_work.ts";
import type { Channel, DoorPeer } from "../isolate/mod.ts";
import { MAX_CHUNKS } from "./store/chunk_key.ts";
import { InHand } from "./in_hand.ts";
import { recordOutcome } from "./outcomes.ts";
import { Damaged } from "./store/records.ts";
import { databaseFault } from "./store/disk_errors.ts";
import type { QueueState } from "./queue_state.ts";

/** Refusals of one isolate that are logged. */
const MAX_WARNINGS = 100;
const NOT_GIVEN = "There is no job for this message";
const EMPTY = new Uint8Array(0);

/** An isolate that delivers. */
export interface Agent extends Pick<DoorPeer, "refuse"> {
  /** What the isolates that share the envelopes of its kind have in hand: delivery gives some of its envelopes to privileged. */
  readonly hands: Set<InHand>;
}

/**
 * Serves relay (`agent` is `mta`) or delivery (`mda`) at `channel`. It reads and settles only envelopes that it has in hand: those of jobs whose
 * MAC shows that the scheduler has given them to that agent. With a wrong MAC it is replaced.
 */
export function serveAgent(
  queue: QueueState,
  agent: "mda" | "mta",
  channel: Channel<QueueToAgent, AgentToQueue>,
  { refuse, hands }: Agent,
): void {
  const inHand = new InHand();
  hands.add(inHand);
  channel.onreset = () => hands.delete(inHand);
  let refusals = 0;
  /** It asks for what it has no job for: an honest one does so at most while the queue is replaced. */
  const withhold = (what: string) => {
    if (++refusals <= MAX_WARNINGS) queue.warn(`queue: ${agent} ${what}, for which it has no job: it is refused`);
  };
  channel.onmessage = (message) => {
    switch (message.type) {
      case "take": {
        const { message: id, ids, mac, only = ids } = message;
        if (!queue.jobMac.verify({ agent, message: id, ids }, mac)) {
          return refuse(`take: message ${id} was not given to this isolate`);
        }
        const given = new Set(ids);
        if (!only.every((one) => given.has(one))) return refuse(`take: it names more of ${id} than it was given`);
        return inHand.add(id, only);
      }
      case "open":
        if (inHand.holdsAll(message.message, message.ids)) return open(queue, channel, message, inHand);
        withhold(`opens message ${message.message}`);
        return channel.send({ type: "unreadable", call: message.call, text: NOT_GIVEN });
      case "read":
        if (inHand.holds(message.message)) return read(queue, channel, message);
        withhold(`reads message ${message.message}`);
        return channel.send({ type: "unreadable", call: message.call, text: NOT_GIVEN });
      case "outcome":
        if (!isOutcome(message.outcome)) return;
        if (!inHand.holdsAll(messageOf(message.id), [message.id])) return withhold(`settles ${message.id}`);
        for (const one of hands) one.remove(messageOf(message.id), message.id);
        return recordOutcome(queue, agent, message.id, message.outcome);
      case "arrived":
        return channel.send({ type: "arrived", call: message.call });
    }
  };
}

function open(
  queue: QueueState,
  channel: Channel<QueueToAgent, AgentToQueue>,
  { call, message, ids }: Extract<AgentToQueue, { type: "open" }>,
  inHand: InHand,
): void {
  if (!isMessageId(message) || !Array.isArray(ids) || ids.length > MAX_JOB_ENVELOPES) {
    return channel.send({ type: "unreadable", call, text: "The question makes no sense" });
  }
  const number = messageNumber(message);
  const dropMissing = (found: readonly Envelope[]) => {
    if (found.length === ids.length) return;
    const there = new Set(found.map(({ id }) => id));
    const missing = ids.filter((id) => !there.has(id));
    for (const id of missing) inHand.remove(message, id);
    queue.dropped(missing);
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
