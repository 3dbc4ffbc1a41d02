/** Opens the messages of tasks in the queue, as bodies for the SMTP client. Remembers how long large ones are on the wire. */

import { BoundedMap } from "../../bounded_map.ts";
import type { Envelope, MessageId } from "../../envelope/mod.ts";
import { PeerGone } from "../../isolate/mod.ts";
import type { QueueClient, StoredBody } from "../../queue_client/mod.ts";
import { type Body, wireOctets } from "../../smtp_client/mod.ts";
import type { Task } from "../tasks.ts";

/** A message that has been opened. */
export interface Message {
  /** Those of the task that are still queued. */
  readonly envelopes: readonly Envelope[];
  readonly body: Body;
}

/** Messages of several chunks whose size as they are sent is remembered. */
const MAX_KNOWN_SIZES = 1_024;
const GONE = "The queue is not available";

export class Messages {
  readonly #queue: QueueClient;
  readonly #sizes = new BoundedMap<MessageId, number>(MAX_KNOWN_SIZES);

  constructor(queue: QueueClient) {
    this.#queue = queue;
  }

  /** Resolves to envelopes and body of a task, or to the reason, as a text, when they cannot be had now. */
  async open({ message, ids }: Task): Promise<Message | string> {
    try {
      const opened = await this.#queue.open(message, ids);
      if (typeof opened === "string") return opened;
      return { envelopes: opened.envelopes, body: this.#bodyOf(message, opened.body) };
    } catch (error) {
      if (error instanceof PeerGone) return GONE;
      throw error;
    }
  }

  #bodyOf(message: MessageId, { bytes, chunks, first, chunk }: StoredBody): Body {
    const plain: Body = { bytes, chunks, chunk: (index) => index === 0 ? first : whileQueueLives(chunk(index)) };
    return chunks < 2 ? plain : { ...plain, wireOctets: () => this.#octets(message, plain) };
  }

  /** A message of several chunks is read once to count it, for all its transactions. */
  async #octets(message: MessageId, body: Body): Promise<number> {
    const known = this.#sizes.get(message);
    if (known !== undefined) return known;
    const octets = await wireOctets(body);
    this.#sizes.set(message, octets);
    return octets;
  }
}

/** Rejects in words for the outcome when the queue was replaced. */
async function whileQueueLives(chunk: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await chunk;
  } catch (error) {
    throw error instanceof PeerGone ? new Error(GONE) : error;
  }
}
