/** Time as an argument: the daemon's clock here, a hand-turned one in tests. */

export interface Clock {
  /** ms since the epoch. */
  now(): number;
  /** ms of a clock that nobody sets, for what lasts; `now` where there is none. */
  steady?(): number;
  /** Calls `then` after `ms`. The answer cancels it. */
  after(ms: number, then: () => void): () => void;
  sleep(ms: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** ms of a clock that nobody sets. */
export function steady(clock: Clock): number {
  return clock.steady?.() ?? clock.now();
}
