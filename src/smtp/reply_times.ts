/**
 * How long a client waits for each reply: from a command, or the end of the message, until its reply is decided. Replies come in the order of the
 * commands (RFC 2920 §3.2). What is said unasked, such as the greeting, counts nothing. Independent of sessions; see connection.ts.
 */

/** Commands that wait for their replies at most: a client may send as many at once as it likes. */
const MAX_WAITING_COMMANDS = 256;

export class ReplyTimes {
  /** When each command came that has no reply yet, the first one first. */
  readonly #asked: number[] = [];
  readonly #steady: () => number;
  readonly #count: (afterMs: number) => void;

  constructor(steady: () => number, count: (afterMs: number) => void) {
    this.#steady = steady;
    this.#count = count;
  }

  /** A command has come. */
  asked(): void {
    if (this.#asked.length < MAX_WAITING_COMMANDS) this.#asked.push(this.#steady());
  }

  /** All of a message has come, or of a chunk of it: the command BDAT waits from then on. */
  ended({ chunk }: { readonly chunk: boolean }): void {
    if (chunk) this.#asked.pop();
    this.asked();
  }

  /** A reply was decided. */
  replied(): void {
    const asked = this.#asked.shift();
    if (asked !== undefined) this.#count(this.#steady() - asked);
  }
}
