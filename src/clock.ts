/** Time as an argument: whatever waits or reads the time takes a Clock, so that tests can let a week pass in a moment. Nothing else sets timers. */

import { builtin } from "./builtin.ts";

export interface Clock {
  /** Returns ms since the epoch, for dates. It jumps when the time of day is set. */
  now(): number;
  /** Returns ms of a steady clock, for durations: waits, time limits, penalties. */
  steady(): number;
  /** Calls `action` once after `ms`, unless the function that is returned is called first. */
  after(ms: number, action: () => void): () => void;
  /** Calls `action` every `ms` until the function that is returned is called. */
  every(ms: number, action: () => void): () => void;
}

/** The clock of the machine. Its timers keep the event loop alive, as those of the runtime do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
  every(ms, action) {
    const timer = setInterval(action, ms);
    return () => clearInterval(timer);
  },
};

/** Resolves after `ms` of `clock`; after 0, when what is ready to run now has run. */
export function sleep(ms: number, clock: Pick<Clock, "after"> = systemClock): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** Calls `action` in the next round of the event loop. Rounds that follow each other at once keep messages of other threads waiting: see `Turn`. */
export function soon(action: () => void): void {
  builtin("node:timers").setImmediate(action);
}

/** A turn of a long job: it goes on until the turn is over and then gives way, so that nothing else in its isolate waits for longer. */
export class Turn {
  readonly #limitMs: number;
  readonly #clock: Pick<Clock, "steady">;
  #since: number;

  /** A turn that lasts `limitMs` milliseconds of `clock` and has begun. */
  constructor(limitMs: number, clock: Pick<Clock, "steady"> = systemClock) {
    this.#limitMs = limitMs;
    this.#clock = clock;
    this.#since = clock.steady();
  }

  /** True when it has lasted long enough. */
  get over(): boolean {
    return this.#clock.steady() - this.#since >= this.#limitMs;
  }

  /** Begins the next turn. */
  begin(): void {
    this.#since = this.#clock.steady();
  }

  /**
   * Resolves when others have had their turn, with which the next one begins. It takes a timer, not `soon`: with rounds that follow at once the
   * runtime looks for what other threads have sent in one of 31, and a message would wait for as many turns.
   */
  async giveWay(): Promise<void> {
    await sleep(0);
    this.begin();
  }
}
