/** Where a chunk of a message's text lies in the table of all chunks. */

import type { MessageNumber } from "../../envelope/mod.ts";

/** Chunks of one message at most: 256 GiB. */
export const MAX_CHUNKS = 2 ** 20;

/** Returns the key of a chunk, below 2⁵²: those of one message are neighbours. `index` counts from 0. */
export function chunkKey(message: MessageNumber, index: number): number {
  return message * MAX_CHUNKS + index;
}
