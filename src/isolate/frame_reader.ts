/**
 * Cuts what arrives over a stream socket into frames and reads them. The other side may be hostile: nothing is taken on trust, and memory grows with
 * what has arrived.
 *
 * A frame is, in words of 32 bits and little-endian: octets that follow; octets of its head; number of messages; the messages; the length of each
 * Uint8Array that is kept apart; their number. The head ends there and those arrays follow it, to be written from and read into their own buffers.
 */

import { Malformed, MAX_APART_ARRAYS } from "./plain_data.ts";
import { Decoder } from "./plain_decoder.ts";

/** Octets of the largest frame, and so of the largest message: the start message with its tables, a message's envelopes. */
export const MAX_FRAME_OCTETS = 64 * 1024 * 1024;
/** Offsets: of the octets of the head, of the number of messages, of the messages. */
export const WORD = 4, START = 2 * WORD, HEADER = 3 * WORD;
/** Allocated before the octets are there, at most; from there on as much as has arrived. */
const FIRST_OCTETS = 512 * 1024;
const READ_OCTETS = 64 * 1024;
/** Buffers that are kept to be filled again, of chunks of messages: how large they are, and how many. */
const MIN_SPARE_OCTETS = 128 * 1024, MAX_SPARE_OCTETS = FIRST_OCTETS, MAX_SPARE_BUFFERS = 16;

/** Octets of known length that arrive in pieces: memory grows with what has arrived. */
class Filling {
  #octets: Uint8Array<ArrayBuffer>;
  #have = 0;
  readonly #length: number;

  /** `spare` is filled where the octets fit; it is this one's from now on. */
  constructor(length: number, spare: ArrayBuffer | null = null) {
    this.#length = length;
    this.#octets = spare === null ? new Uint8Array(Math.min(length, FIRST_OCTETS)) : new Uint8Array(spare, 0, length);
  }

  get done(): Uint8Array<ArrayBuffer> | null {
    return this.#have === this.#length ? this.#octets : null;
  }

  /** Where the next octets belong. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#have === this.#octets.length) {
      const wider = new Uint8Array(Math.min(this.#length, this.#octets.length * 2));
      wider.set(this.#octets);
      this.#octets = wider;
    }
    return this.#octets.subarray(this.#have);
  }

  /** So many have been read into the room. */
  filled(count: number): void {
    this.#have += count;
  }

  /** Takes what it can of `octets` and returns how many. */
  take(octets: Uint8Array): number {
    let taken = 0;
    while (taken < octets.length && this.done === null) {
      const room = this.room(), count = Math.min(room.length, octets.length - taken);
      room.set(octets.subarray(taken, taken + count));
      this.filled(count);
      taken += count;
    }
    return taken;
  }
}

/** A frame of which not all has arrived. */
interface PartFrame {
  readonly values: Uint8Array;
  readonly count: number;
  readonly lengths: readonly number[];
  readonly apart: Uint8Array<ArrayBuffer>[];
}

/** A head, which lies in `octets` from `start` up to `end`. */
interface Head {
  readonly octets: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

const NO_ARRAYS: readonly Uint8Array<ArrayBuffer>[] = [];

/** Cuts the octets of a socket into frames, and reads them. */
export class FrameReader {
  readonly #decoder = new Decoder();
  #buffer = new Uint8Array(READ_OCTETS);
  #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;
  /** What the runtime reads into next: it asks before others may call `next`, after which the octets may belong somewhere else. */
  #room: Uint8Array | null = null;
  #moved = false;
  #head: Filling | null = null;
  #frame: PartFrame | null = null;
  #array: Filling | null = null;
  readonly #spare: ArrayBuffer[] = [];

  /** Takes storage that the caller uses no more, to fill it again: new buffers cost their pages, and a garbage collection each time that there are many. */
  recycle(buffer: ArrayBuffer): void {
    const { byteLength } = buffer;
    if (byteLength < MIN_SPARE_OCTETS || byteLength > MAX_SPARE_OCTETS) return;
    if (this.#spare.length < MAX_SPARE_BUFFERS) this.#spare.push(buffer);
  }

  /** Room for an array. A buffer of more than twice its length would be a waste. */
  #fill(length: number): Filling {
    const spare = this.#spare.at(-1);
    if (spare === undefined || length > spare.byteLength || length < spare.byteLength / 2) return new Filling(length);
    this.#spare.pop();
    return new Filling(length, spare);
  }

  /** Where the next octets are to be read into. */
  room(): Uint8Array {
    this.#moved = false;
    return this.#room = this.#nextRoom();
  }

  #nextRoom(): Uint8Array {
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
      const filling = this.#head ?? this.#array;
      if (filling !== null) return filling.room();
    } else if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    // The runtime may read once more after it was told to stop; a read of nothing would be an error of the socket.
    if (this.#end === this.#buffer.length) {
      const wider = new Uint8Array(this.#buffer.length * 2);
      wider.set(this.#buffer);
      this.#buffer = wider;
      this.#view = new DataView(wider.buffer);
    }
    return this.#buffer.subarray(this.#end);
  }

  /** So many octets have been read into the room. */
  filled(count: number): void {
    const room = this.#room!;
    if (this.#moved) return this.#append(room.slice(0, count));
    const filling = this.#start === this.#end ? this.#head ?? this.#array : null;
    if (filling !== null) filling.filled(count);
    else this.#end += count;
  }

  /** Takes octets that were read into a place where they do not belong any more. */
  #append(octets: Uint8Array): void {
    for (let taken = 0; taken < octets.length;) {
      const room = this.room(), count = Math.min(room.length, octets.length - taken);
      room.set(octets.subarray(taken, taken + count));
      this.filled(count);
      taken += count;
    }
  }

  /** The messages of the next frame; null where it is not complete. Throws Malformed. */
  next(): unknown[] | null {
    this.#moved = true;
    if (this.#frame === null) {
      const messages = this.#headDone();
      if (messages !== null) return messages;
    }
    const frame = this.#frame;
    if (frame === null) return null;
    while (frame.apart.length < frame.lengths.length) {
      this.#array ??= this.#fill(frame.lengths[frame.apart.length]!);
      this.#start += this.#array.take(this.#buffer.subarray(this.#start, this.#end));
      const { done } = this.#array;
      if (done === null) return null;
      frame.apart.push(done);
      this.#array = null;
    }
    this.#frame = null;
    const { values, count, apart } = frame;
    return this.#decoder.values(values, { start: 0, end: values.length, count, apart });
  }

  /** Reads the head when it is there. Returns its messages if it is the whole frame. */
  #headDone(): unknown[] | null {
    if (this.#head === null) {
      const start = this.#start, there = this.#end - start;
      if (there < HEADER) return null;
      const rest = this.#view.getUint32(start, true), head = this.#view.getUint32(start + WORD, true) + START;
      if (rest > MAX_FRAME_OCTETS || head > rest + WORD || head < HEADER + WORD) {
        throw new Malformed("its length is none");
      }
      if (there >= head) {
        this.#start += head;
        return this.#begin({ octets: this.#buffer, view: this.#view, start, end: start + head });
      }
      if (head <= READ_OCTETS) return null;
      this.#head = new Filling(head);
      this.#start += this.#head.take(this.#buffer.subarray(start, this.#end));
    }
    const { done } = this.#head;
    if (done === null) return null;
    this.#head = null;
    return this.#begin({ octets: done, view: new DataView(done.buffer), start: 0, end: done.length });
  }

  /** Takes a frame whose head has arrived. */
  #begin({ octets, view, start, end }: Head): unknown[] | null {
    const rest = view.getUint32(start, true), count = view.getUint32(start + START, true);
    const arrays = view.getUint32(end - WORD, true), values = end - (arrays + 1) * WORD;
    if (arrays > MAX_APART_ARRAYS || values < start + HEADER) throw new Malformed("it ends too early");
    const lengths: number[] = [];
    let sum = end - start - WORD;
    for (let at = values; at < end - WORD; at += WORD) {
      const length = view.getUint32(at, true);
      lengths.push(length);
      sum += length;
    }
    if (sum !== rest) throw new Malformed("its lengths do not agree");
    if (arrays === 0) {
      return this.#decoder.values(octets, { start: start + HEADER, end: values, count, apart: NO_ARRAYS });
    }
    this.#frame = { values: octets.slice(start + HEADER, values), count, lengths, apart: [] };
    return null;
  }
}
