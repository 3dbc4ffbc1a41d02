/** Time as an argument: tests make a week pass in a moment. */

export interface Clock {
  /** ms of a clock that nobody sets: waits and penalties must not follow the time of day. */
  now(): number;
  /** Calls `act` once after `ms`; the answer cancels it. */
  after(ms: number, act: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
