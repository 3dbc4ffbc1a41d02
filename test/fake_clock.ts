/** A clock that moves only when a test says so. */

import type { Clock } from "../src/clock.ts";

interface Timer {
  at: number;
  readonly every: number | null;
  readonly action: () => void;
}

export class FakeClock implements Clock {
  #ms: number;
  readonly #timers = new Set<Timer>();

  /** Begins at `ms`, by the time of day and by what has passed alike. */
  constructor(ms: number = Date.now()) {
    this.#ms = ms;
  }

  now = (): number => this.#ms;
  steady = (): number => this.#ms;
  after = (ms: number, action: () => void): () => void => this.#add({ at: this.#ms + ms, every: null, action });
  every = (ms: number, action: () => void): () => void => this.#add({ at: this.#ms + ms, every: ms, action });

  /** Lets `ms` pass: what is due meanwhile happens in its order and at its time. */
  advance(ms: number): void {
    const end = this.#ms + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#ms = Math.max(this.#ms, next.at);
      if (next.every === null) this.#timers.delete(next);
      else next.at += next.every;
      next.action();
    }
    this.#ms = end;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }
}
