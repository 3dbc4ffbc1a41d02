/** When the check of this host is made by itself: once a day, at a time that differs from host to host. */

import type { Clock } from "../clock.ts";

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS;
/** After a start the daemon has better to do, and so have the name servers of hosts that start together. */
const FIRST_MS = { least: 10 * MINUTE_MS, spread: 20 * MINUTE_MS };
/** From one check to the next. */
const DAY_MS = { least: 23.5 * HOUR_MS, spread: HOUR_MS };

export interface DailyCheckDeps {
  readonly clock: Pick<Clock, "now" | "after">;
  /** A number from 0 to 1. */
  readonly random: () => number;
  /** When the last check was, in milliseconds since the epoch; null for never. */
  readonly lastAt: () => Promise<number | null>;
  readonly check: () => Promise<void>;
  readonly warn: (text: string) => void;
}

/** Checks a day after the last check, a while after the start at the earliest, and then every day, until the returned function is called. */
export function checkDaily({ clock, random, lastAt, check, warn }: DailyCheckDeps): () => void {
  let cancel = () => {}, ended = false;
  const plan = (ms: number) => {
    if (!ended) cancel = clock.after(ms, () => void run());
  };
  const some = ({ least, spread }: { readonly least: number; readonly spread: number }) => least + random() * spread;
  const run = async () => {
    try {
      await check();
    } catch (error) {
      warn(`warn: check: it failed: ${(error as Error).message}`);
    }
    plan(some(DAY_MS));
  };
  const begin = async () => {
    const last = await lastAt().catch(() => null);
    // A clock that went back must not put it off for ever.
    const due = last === null ? 0 : Math.min(last + some(DAY_MS) - clock.now(), some(DAY_MS));
    plan(Math.max(due, some(FIRST_MS)));
  };
  void begin();
  return () => {
    ended = true;
    cancel();
  };
}
