/** The message that is delivered: its body comes from the queue chunk by chunk and is never whole in memory. */

import type { Envelope, EnvelopeId, MessageId, Outcome } from "../envelope/mod.ts";
import { type AgentToQueue, type QueueToAgent } from "../protocol/mod.ts";
import { Caller, type Channel } from "../isolate/mod.ts";
import { DeliveryError, EX } from "./sysexits.ts";

/** A stored body. Chunk 0 is at hand, the others are asked for. */
export interface StoredBody {
  /** Size of the whole, in octets. */
  readonly bytes: number;
  readonly chunks: number;
  readonly first: Uint8Array;
  /** Chunk `index`, 1 … chunks − 1. Rejects when it cannot be read. */
  chunk(index: number): Promise<Uint8Array>;
}

export interface Opened {
  readonly envelopes: readonly Envelope[];
  readonly body: StoredBody;
}

/** What a writer is given: the lines of this delivery and then the stored body. */
export interface Delivered {
  /** `Return-Path` and `Delivered-To`, encoded. */
  readonly trace: Uint8Array;
  readonly body: StoredBody;
}

/** The delivery's side of the door to the queue. */
export class QueueClient {
  readonly #caller: Caller<AgentToQueue, QueueToAgent>;

  constructor(channel: Channel<AgentToQueue, QueueToAgent>) {
    this.#caller = new Caller(channel);
  }

  /** A text says why it cannot be read. Rejects with PeerGone when the queue was replaced meanwhile. */
  async open(message: MessageId, ids: readonly EnvelopeId[]): Promise<Opened | string> {
    const answer = await this.#caller.ask<"opened" | "unreadable">({ type: "open", message, ids });
    if (answer.type === "unreadable") return answer.text;
    const { bytes, chunks, first } = answer;
    return {
      envelopes: answer.envelopes,
      body: { bytes, chunks, first, chunk: (index) => this.#read(message, index) },
    };
  }

  async #read(message: MessageId, index: number): Promise<Uint8Array> {
    const answer = await this.#caller.ask<"chunk" | "unreadable">({ type: "read", message, index });
    if (answer.type === "unreadable") throw new DeliveryError(EX.TEMPFAIL, answer.text);
    return answer.bytes;
  }

  settle(id: EnvelopeId, outcome: Outcome): void {
    this.#caller.send({ type: "outcome", id, outcome });
  }
}
