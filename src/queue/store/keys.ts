/** Ids as the numbers that the database and the caches use. Text forms are in src/envelope. */

import { type EnvelopeId, hex8, type MessageId } from "../../envelope/mod.ts";

/** Chunks of one message at most: 256 GiB. */
export const MAX_CHUNKS = 2 ** 20;

export function messageNumber(id: MessageId | EnvelopeId): number {
  return parseInt(id.slice(0, 8), 16);
}

/** The envelope's own half of its id. */
export function envelopeNumber(id: EnvelopeId): number {
  return parseInt(id.slice(8), 16);
}

export function envelopeId(message: number, number: number): EnvelopeId {
  return hex8(message) + hex8(number);
}

/** Place of a chunk in the one table that holds all chunks, below 2⁵². */
export function chunkKey(message: number, index: number): number {
  return message * MAX_CHUNKS + index;
}

const MESSAGE_ID = /^[0-9a-f]{8}$/;
const ENVELOPE_ID = /^[0-9a-f]{16}$/;

/** True for text that names a message; ids come from other isolates. */
export function isMessageId(text: unknown): text is MessageId {
  return typeof text === "string" && MESSAGE_ID.test(text);
}

export function isEnvelopeId(text: unknown): text is EnvelopeId {
  return typeof text === "string" && ENVELOPE_ID.test(text);
}
