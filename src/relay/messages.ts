/** Messages as the queue hands them out, and their outcomes on the way back. Remembers what it said until the queue must have heard it. */

import type { Envelope, EnvelopeId, MessageId, Outcome } from "../envelope/mod.ts";
import { type AgentToQueue, type QueueToAgent } from "../protocol/mod.ts";
import { Caller, type Channel, PeerGone } from "../isolate/mod.ts";
import { type Body, wireOctets } from "../smtp_client/mod.ts";
import type { Task } from "./tasks.ts";

/** A message that has been opened. */
export interface Message {
  /** Those of the task that are still queued. */
  readonly envelopes: readonly Envelope[];
  readonly body: Body;
}

/** Final outcomes that are remembered: the queue may have died before it heard of them, and would then send the mail again. */
const FINAL_LIMIT = 4_096;
/** Large messages whose size as they are sent is remembered. */
const SIZES_LIMIT = 1_024;
const GONE = "The queue is not available";

export class Messages {
  readonly #queue: Caller<AgentToQueue, QueueToAgent>;
  readonly #sizes = new Map<MessageId, number>();
  readonly #final = new Map<EnvelopeId, Outcome>();

  constructor(channel: Channel<AgentToQueue, QueueToAgent>) {
    this.#queue = new Caller(channel);
  }

  /** Envelopes and body of a task; the reason when they cannot be had now. */
  async open(task: Task): Promise<Message | string> {
    try {
      const { message, ids } = task;
      const opened = await this.#queue.ask<"opened" | "unreadable">({ type: "open", message, ids });
      if (opened.type === "unreadable") return opened.text;
      const { envelopes, bytes, chunks, first } = opened;
      const chunk = (index: number) => index === 0 ? first : this.#read(message, index);
      const plain = { bytes, chunks, chunk };
      return { envelopes, body: chunks < 2 ? plain : { ...plain, wireOctets: () => this.#octets(message, plain) } };
    } catch (error) {
      if (error instanceof PeerGone) return GONE;
      throw error;
    }
  }

  /** A message of several chunks is read once to count it, for all its transactions. */
  async #octets(message: MessageId, body: Body): Promise<number> {
    const known = this.#sizes.get(message);
    if (known !== undefined) return known;
    const octets = await wireOctets(body);
    this.#sizes.set(message, octets);
    if (this.#sizes.size > SIZES_LIMIT) this.#sizes.delete(this.#sizes.keys().next().value!);
    return octets;
  }

  async #read(message: string, index: number): Promise<Uint8Array> {
    try {
      const read = await this.#queue.ask<"chunk" | "unreadable">({ type: "read", message, index });
      if (read.type === "chunk") return read.bytes;
      throw new Error(read.text);
    } catch (error) {
      throw error instanceof PeerGone ? new Error(GONE) : error;
    }
  }

  settle(id: EnvelopeId, outcome: Outcome): void {
    this.#queue.send({ type: "outcome", id, outcome });
    if (outcome.result === "tempfail") return;
    this.#final.set(id, outcome);
    if (this.#final.size > FINAL_LIMIT) this.#final.delete(this.#final.keys().next().value!);
  }

  /** True when this envelope was done before and the queue has now been told so again: it must not be sent twice. */
  settledBefore(id: EnvelopeId): boolean {
    const outcome = this.#final.get(id);
    if (outcome === undefined) return false;
    this.#queue.send({ type: "outcome", id, outcome });
    return true;
  }
}
