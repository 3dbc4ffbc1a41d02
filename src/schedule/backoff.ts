/**
 * The retry back-off: when the next attempt is due. Pure; the scheduler sets times by it, and the queue finds by it whether a DSN of delay is due
 * before the next attempt.
 */

import type { Agent } from "../envelope/mod.ts";

/** Milliseconds of the quadratic back-off's base: a relay waits for other hosts, a local delivery for this one. */
const BASE_MS: Readonly<Record<Agent, number>> = { mta: 400_000, mda: 10_000, bounce: 10_000 };

/** What has been tried of an envelope: when it was made, in ms since the epoch, and how many attempts failed. */
interface Attempts {
  readonly createdAt: number;
  readonly tries: number;
}

/** Longest time between two attempts of an envelope that is kept for `ttl` ms: the last step of its back-off. */
export function longestWait(agent: Agent, ttl: number): number {
  const base = BASE_MS[agent];
  return base * (2 * Math.ceil(Math.sqrt(Math.max(0, ttl) / base)) + 1);
}

/** When an envelope is due that was queued or loaded with `tries` failed attempts: createdAt + base · tries². */
export function firstDue(agent: Agent, { createdAt, tries }: Attempts): number {
  return createdAt + BASE_MS[agent] * tries * tries;
}

/** When an envelope is due after its attempt number `tries` failed at `now`: the first createdAt + base · n² > now with n ≥ tries. */
export function nextDue(agent: Agent, { createdAt, tries, now }: Attempts & { readonly now: number }): number {
  const base = BASE_MS[agent];
  let n = Math.max(tries, Math.floor(Math.sqrt(Math.max(0, now - createdAt) / base)));
  while (createdAt + base * n * n <= now) n++;
  return createdAt + base * n * n;
}
