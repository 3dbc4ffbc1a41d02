/** How long a client waits for each step of a server, RFC 5321 §4.5.3.2. */

/** One limit for each step, in ms. That of a reply counts from the reply before it: pipelined commands have their time one after another. */
export interface Timeouts {
  /** TCP or unix connect. */
  readonly connectMs: number;
  readonly greetingMs: number;
  /** The handshake of TLS. */
  readonly tlsMs: number;
  /** EHLO, HELO, LHLO, STARTTLS, AUTH, RSET: RFC 5321 names no time for them. */
  readonly commandMs: number;
  readonly mailMs: number;
  readonly rcptMs: number;
  /** The 354 to DATA. */
  readonly dataMs: number;
  /** Until the peer has taken what was written, a block of BLOCK_OCTETS at most. */
  readonly blockMs: number;
  /** Each reply to the end of the data: the server may scan the message first, and one that is given up too early has it twice. */
  readonly endOfDataMs: number;
  /** Everything was done before: the reply to QUIT is not waited for long. */
  readonly quitMs: number;
}

const SECOND_MS = 1_000, MINUTE_MS = 60 * SECOND_MS;

/** The limits of RFC 5321 §4.5.3.2.1 to §4.5.3.2.6, for LMTP too (RFC 2033 §4.2). */
export const TIMEOUTS: Timeouts = {
  connectMs: 5 * MINUTE_MS,
  greetingMs: 5 * MINUTE_MS,
  tlsMs: 5 * MINUTE_MS,
  commandMs: 5 * MINUTE_MS,
  mailMs: 5 * MINUTE_MS,
  rcptMs: 5 * MINUTE_MS,
  dataMs: 2 * MINUTE_MS,
  blockMs: 3 * MINUTE_MS,
  endOfDataMs: 10 * MINUTE_MS,
  quitMs: 5 * SECOND_MS,
};

/** Data are written in blocks of this size, in octets, so that a slow line that moves is not taken for one that stands still. */
export const BLOCK_OCTETS = 64 * 1024;

/** Returns the same limit for every step, in ms; QUIT has five seconds at most. */
export function uniformTimeouts(ms: number): Timeouts {
  const all = Object.fromEntries(Object.keys(TIMEOUTS).map((step) => [step, ms])) as unknown as Timeouts;
  return { ...all, quitMs: Math.min(ms, TIMEOUTS.quitMs) };
}
