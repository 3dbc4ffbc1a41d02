/** A rate limit for small jobs that may come in bursts, as connections and their ends do: some per round of the event loop, the rest in the next ones, in order. */

import type { TurnClock } from "./fair_turns.ts";

/** Jobs of one round. One takes some 50 µs with what the runtime does for it: a session that runs already waits for half a millisecond. */
const A_ROUND = 8;

export class BurstLimiter {
  readonly #waiting: (() => void)[] = [];
  readonly #clock: Pick<TurnClock, "soon">;
  #left = A_ROUND;
  #due = false;

  constructor(clock: Pick<TurnClock, "soon">) {
    this.#clock = clock;
  }

  /** Runs `job` at once where this round has room for it and nobody waits. There are no more jobs than sessions, so that the list is bounded. */
  admit(job: () => void): void {
    this.#arrange();
    if (this.#left === 0 || this.#waiting.length > 0) return void this.#waiting.push(job);
    this.#left--;
    job();
  }

  /** Runs all that wait. */
  flush(): void {
    for (const job of this.#waiting.splice(0)) job();
  }

  #arrange(): void {
    if (this.#due) return;
    this.#due = true;
    this.#clock.soon(() => {
      this.#due = false;
      this.#left = A_ROUND;
      const jobs = this.#waiting.splice(0, A_ROUND);
      if (jobs.length === 0) return;
      this.#left -= jobs.length;
      this.#arrange();
      for (const job of jobs) job();
    });
  }
}
