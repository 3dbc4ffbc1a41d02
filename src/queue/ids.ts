/**
 * Message ids, handed out in blocks of neighbours at random places: ids look random and never meet, and messages that arrive together lie
 * together in the database. Keeps which isolate holds which block, not the use of the ids.
 */

import { type MessageId, messageIdOf, type MessageNumber, messageNumber, random32 } from "../envelope/mod.ts";
import type { MessageRange } from "./store/ranges.ts";

/** Ids of a block share their upper 24 bits. */
export const BLOCK_IDS = 256;
/** Draws of a free block before giving up: with a million messages queued, one draw in sixteen fails at worst. */
const MAX_DRAWS = 1000;

interface Block {
  readonly owner: object;
  readonly used: Uint8Array;
  count: number;
}

export class Ids {
  readonly #blocks = new Map<number, Block>();
  readonly #taken: (range: MessageRange) => boolean;
  readonly #random: () => number;

  /** `taken`: whether a queued message has an id in this range. */
  constructor(taken: (range: MessageRange) => boolean, random: () => number = random32) {
    this.#taken = taken;
    this.#random = random;
  }

  /** Reserves a block of free ids for `owner`. */
  reserve(owner: object): MessageId[] {
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const number = this.#random() >>> 8;
      const [first, last] = [number * BLOCK_IDS, (number + 1) * BLOCK_IDS - 1] as [MessageNumber, MessageNumber];
      // Block 0 holds the id 0, which names nothing.
      if (number === 0 || this.#blocks.has(number) || this.#taken({ first, last })) continue;
      this.#blocks.set(number, { owner, used: new Uint8Array(BLOCK_IDS), count: 0 });
      return Array.from({ length: BLOCK_IDS }, (_, i) => messageIdOf(first + i as MessageNumber));
    }
    throw new Error("No free message ids were found");
  }

  /** Marks an id as used. False when it is not one that `owner` may use. */
  take(owner: object, id: MessageId): boolean {
    const number = messageNumber(id);
    const block = this.#blocks.get(number >>> 8);
    if (block === undefined || block.owner !== owner || block.used[number & 0xff] === 1) return false;
    block.used[number & 0xff] = 1;
    if (++block.count === BLOCK_IDS) this.#blocks.delete(number >>> 8);
    return true;
  }

  /** Takes an id that was given elsewhere. False when it is another owner's to give, or taken. */
  claim(owner: object, id: MessageId): boolean {
    const number = messageNumber(id), block = this.#blocks.get(number >>> 8);
    if (number >>> 8 === 0 || this.#taken({ first: number, last: number })) return false;
    if (block !== undefined) return this.take(owner, id);
    this.#blocks.set(number >>> 8, { owner, used: new Uint8Array(BLOCK_IDS), count: 0 });
    return this.take(owner, id);
  }

  /** The owner is gone: what it did not use is free again. */
  release(owner: object): void {
    for (const [number, block] of this.#blocks) if (block.owner === owner) this.#blocks.delete(number);
  }
}
