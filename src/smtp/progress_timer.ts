/**
 * How long a session may take to get anywhere. A trickle of octets is no progress: a command counts when it is whole, data when there is a
 * good deal of it. RFC 5321 §4.5.3.2 has the times. Uses no clock; see connection.ts.
 */

/** Octets of message data that must come within the time that a command may take: 218 per second at the usual 5 minutes. */
export const MIN_DATA_OCTETS = 64 * 1024;
/** Time for a TLS handshake at most, in milliseconds. */
export const HANDSHAKE_MS = 60_000;

export class ProgressTimer {
  #since: number;
  #octets = 0;

  /** `now`: ms since the epoch, here and below. */
  constructor(now: number) {
    this.#since = now;
  }

  /** Something was done: a whole command, an answer from another isolate, replies that the client has taken. */
  progress(now: number): void {
    this.#since = now;
    this.#octets = 0;
  }

  /** These octets of a message came. */
  data(bytes: { readonly length: number }, now: number): void {
    this.#octets += bytes.length;
    if (this.#octets >= MIN_DATA_OCTETS) this.progress(now);
  }

  /** True when nothing was done for `limitMs`, or in a TLS `handshake` for a minute. */
  overdue(now: number, { limitMs, handshake }: { readonly limitMs: number; readonly handshake: boolean }): boolean {
    return now - this.#since >= (handshake ? Math.min(HANDSHAKE_MS, limitMs) : limitMs);
  }
}

/** How often silence is looked for: often enough that a session ends at most a fifth late. */
export function tickMs(idleTimeoutMs: number): number {
  return Math.max(10, Math.min(1000, idleTimeoutMs / 5));
}
