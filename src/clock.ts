/** Time as an argument: whatever waits or reads the time takes a Clock, so that tests make a week pass in a moment. Nothing else sets timers. */

export interface Clock {
  /** Returns ms since the epoch, for dates. It jumps when somebody sets the time of day. */
  now(): number;
  /** Returns ms of a clock that nobody sets, for what lasts: waits, time limits, penalties. */
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
