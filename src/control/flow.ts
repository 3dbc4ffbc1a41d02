/**
 * How many events of one isolate are taken in a second: one that reports without end must not fill the log's disk, nor keep the events of others
 * waiting. What is left out is counted, and the count is logged. Pure but for the clock that it is given.
 */

/** Events of one isolate in a second at most: several times what an isolate reports that is as busy as it can be. */
export const MAX_SECOND_EVENTS = 50_000;
const SECOND_MS = 1_000;

export class EventFlow {
  readonly #now: () => number;
  readonly #warn: (leftOut: number) => void;
  #since = -Infinity;
  #taken = 0;
  #leftOut = 0;

  /** `now`: milliseconds of a clock that does not go back. `warn` is told how many events of a second were left out, once it is over. */
  constructor(now: () => number, warn: (leftOut: number) => void) {
    this.#now = now;
    this.#warn = warn;
  }

  /** Counts one event. Returns false when it is to be left out. */
  take(): boolean {
    const now = this.#now();
    if (now - this.#since >= SECOND_MS) this.#begin(now);
    const full = this.#taken >= MAX_SECOND_EVENTS;
    if (full) this.#leftOut++;
    else this.#taken++;
    return !full;
  }

  #begin(now: number): void {
    this.#since = now;
    this.#taken = 0;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    if (leftOut > 0) this.#warn(leftOut);
  }
}
