/** Random identifiers: messages, envelopes, sessions. */

import type { EnvelopeId, MessageId } from "./envelope.ts";

const pool = new Uint32Array(1024);
let used = pool.length;

/** A uniform random number in 1 … 2³²−1. */
export function random32(): number {
  for (;;) {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    const value = pool[used++]!;
    if (value !== 0) return value;
  }
}

export function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** A fresh envelope id of a message. Unique only by chance: the caller keeps those of one message apart. */
export function newEnvelopeId(message: MessageId): EnvelopeId {
  return message + hex8(random32());
}

/** 16 hex digits that name a session in the log. */
export function newSessionId(): string {
  return hex8(random32()) + hex8(random32());
}
