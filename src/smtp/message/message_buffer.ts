/**
 * The buffer of one message on its way in: data.ts and header.ts assemble it there, what is settled leaves it in chunks for the queue, with
 * credit so that memory stays bounded. Whoever remembers a place in it counts from the start of the message, so that what
 * has left changes no place.
 */

import type { EnvelopeContent, MessageId } from "../../envelope/mod.ts";
import { CHUNK_BYTES, CHUNK_CREDIT } from "../../protocol/smtp_queue.ts";
import type { Assembly } from "./header.ts";
import type { QueueClient } from "../queue_client.ts";

/** Octets of the buffers that small messages share one after another, and how many of them are kept. */
const SMALL = 16 * 1024;
const MAX_SPARE_BUFFERS = 64;
const spare: Uint8Array<ArrayBuffer>[] = [];

/** Octets of a header section that are collected before they are sent on. */
const HEADER_FILL = 64 * 1024;
/** Octets that come in one read at most. */
export const READ_BYTES = 64 * 1024;
/** Above this total of all sessions, chunks leave when they are small: many slow senders must not fill the memory. */
const PLENTY = 32 * 1024 * 1024;
const SMALL_CHUNK = SMALL;
/** A step that is always allowed, so that a long field cannot block. */
const MIN_STEP_OCTETS = 4096;

const NOTHING = new Uint8Array(0);

/** What the buffer asks of who fills it; a DataReader is one. */
export interface Filler {
  /** Why the message is refused; null for nothing. */
  readonly fault: string | null;
  /** Octets at the front of the buffer that will not change any more and can leave it. */
  readonly settled: number;
  /** True while the header section is read. */
  readonly inHeader: boolean;
}

export class MessageBuffer implements Assembly {
  buffer: Uint8Array<ArrayBuffer> = NOTHING;
  length = 0;
  /** Octets given to the queue: the place in the message where the buffer begins. */
  sent = 0;
  readonly message: MessageId;
  #credit = CHUNK_CREDIT;
  #chunks = 0;
  /** Buffers of chunks on their way, in order. */
  readonly #away: ArrayBuffer[] = [];
  readonly #queue: QueueClient;
  readonly #frontFollows: boolean;

  /** `frontFollows`: the commit may bring what stands in front of the message. */
  constructor(
    message: MessageId,
    queue: QueueClient,
    { frontFollows }: { readonly frontFollows: boolean } = { frontFollows: false },
  ) {
    this.message = message;
    this.#queue = queue;
    this.#frontFollows = frontFollows;
  }

  reserve(extra: number): void {
    const need = this.length + extra;
    if (need <= this.buffer.length) return;
    // A message that has filled one chunk will need a whole one again.
    const size = this.#chunks > 0 || need > 4 * SMALL ? Math.max(need, CHUNK_BYTES) : need <= SMALL ? SMALL : 4 * SMALL;
    const bigger = (size === SMALL ? spare.pop() : size === CHUNK_BYTES ? this.#queue.buffers.pop() : undefined) ??
      new Uint8Array(size);
    if (this.length > 0) bigger.set(this.buffer.subarray(0, this.length));
    const { length } = this;
    this.#drop();
    this.length = length;
    this.buffer = bigger;
    this.#queue.held += bigger.length;
  }

  credited(): void {
    if (this.#credit < CHUNK_CREDIT) this.#credit++;
    // The queue has all of that chunk. The buffer is still here unless it was moved there, and comes back as spent.
    this.#queue.recycle(this.#away.shift());
  }

  /** How many of `wanted` octets the reader may be given now. 0: wait until `credited`. */
  room(reader: Filler, wanted: number): number {
    if (reader.fault !== null) return Math.min(wanted, HEADER_FILL);
    const limit = this.#limit(reader);
    if (this.length >= limit && !this.#flush(reader)) return 0;
    return Math.min(wanted, Math.max(limit - this.length, MIN_STEP_OCTETS));
  }

  /** Makes room for a whole read, so that nothing of it has to be kept aside. False: wait until `credited`. */
  ready(reader: Filler): boolean {
    if (reader.fault !== null) return true;
    const limit = this.#limit(reader);
    return this.length < (limit === CHUNK_BYTES ? CHUNK_BYTES - READ_BYTES : limit) || this.#flush(reader);
  }

  /** Octets at which the buffer leaves. */
  #limit(reader: Filler): number {
    if (this.#queue.held > PLENTY) return SMALL_CHUNK;
    return reader.inHeader ? HEADER_FILL : CHUNK_BYTES;
  }

  /** Sends what will not change any more. False: there is no credit for it. */
  #flush(reader: Filler): boolean {
    const settled = Math.min(reader.settled, CHUNK_BYTES);
    if (settled === 0) return true;
    if (this.#credit === 0) return false;
    this.#credit--;
    this.#sendChunk(settled);
    return true;
  }

  #sendChunk(octets: number): void {
    const first = this.#chunks++ === 0;
    const chunk = this.buffer.subarray(0, octets);
    const rest = this.buffer.slice(octets, this.length);
    this.#queue.held -= this.buffer.length;
    this.buffer = rest;
    this.length = rest.length;
    this.#queue.held += rest.length;
    this.sent += octets;
    const mark = first && this.#frontFollows ? { frontFollows: true } : {};
    this.#away.push(chunk.buffer);
    this.#queue.send({ type: "chunk", message: this.message, bytes: chunk, ...mark }, [chunk.buffer]);
  }

  /** Everything is here: hands the message over, with `front` (at most MAX_FRONT_OCTETS) in front of it. The buffer is gone afterwards. */
  commit(envelopes: readonly EnvelopeContent[], front: Uint8Array<ArrayBuffer> = NOTHING): void {
    if (front.length > 0 && this.#chunks === 0 && front.length + this.length <= CHUNK_BYTES) {
      this.#join(front);
      front = NOTHING;
    }
    // Steps that are always allowed may have made it more than a chunk: the queue takes one more than it gave credit for.
    if (this.length > CHUNK_BYTES) this.#sendChunk(CHUNK_BYTES);
    this.sent += front.length;
    const before = front.length === 0 ? {} : { front };
    this.sent += this.length;
    if (this.buffer.length <= SMALL) {
      const tail = this.buffer.slice(0, this.length);
      this.#drop();
      return this.#queue.send({ type: "commit", message: this.message, ...before, tail, envelopes });
    }
    const tail = this.buffer.subarray(0, this.length);
    this.#queue.held -= this.buffer.length;
    this.buffer = NOTHING;
    this.length = 0;
    this.#queue.send({ type: "commit", message: this.message, ...before, tail, envelopes }, [tail.buffer]);
  }

  /** A small message is one piece. */
  #join(front: Uint8Array): void {
    this.reserve(front.length);
    this.buffer.copyWithin(front.length, 0, this.length);
    this.buffer.set(front);
    this.length += front.length;
  }

  /** Nothing of it is to be kept. `seen`: others know its id, which must not serve for another message. */
  abort({ seen }: { readonly seen: boolean }): void {
    this.#drop();
    if (this.#chunks > 0 || seen) this.#queue.abort(this.message);
    else this.#queue.drop(this.message);
  }

  /** Lets the buffer go, to the next small message where it fits. */
  #drop(): void {
    this.#queue.held -= this.buffer.length;
    if (this.buffer.length === SMALL && spare.length < MAX_SPARE_BUFFERS) spare.push(this.buffer);
    this.buffer = NOTHING;
    this.length = 0;
  }
}
