/**
 * The retry back-off: when the next attempt is due. Pure; the scheduler sets times by it, and the queue finds by it whether a DSN of delay is due
 * before the next attempt.
 */

import type { Agent } from "../envelope/mod.ts";
import type { RetryClass } from "../protocol/mod.ts";

/** Milliseconds of the quadratic back-off's base: a relay waits for other hosts, a local delivery for this one. */
const BASE_MS: Readonly<Record<Agent, number>> = { mta: 400_000, mda: 10_000, bounce: 10_000 };

/**
 * What a host's answer says about when to come back: minutes to wait after the first, second, … failed attempt of an envelope; the last holds for
 * all later ones. Greylisting ends after some minutes; who is too fast for a host, or is blocked there, makes it worse by asking; a mailbox that is
 * full is not emptied within minutes. docs/sending-reputation.md has this table for readers.
 */
export const RETRY_MINUTES: Readonly<Record<RetryClass, readonly number[]>> = {
  greylisted: [5, 5, 10, 15, 30, 60],
  rate: [15, 30, 60, 120],
  "mailbox-full": [60, 120, 240, 360],
  reputation: [30, 60, 120, 240],
};

/** What has been tried of an envelope: when it was made, in ms since the epoch, and how many attempts failed. */
interface Attempts {
  readonly createdAt: number;
  readonly tries: number;
  /** What the last failure means, where that decides the time; absent for the quadratic back-off. */
  readonly retryClass?: RetryClass | undefined;
}

/** Longest time between two attempts of an envelope that is kept for `ttl` ms: the last step of its back-off. */
export function longestWait(agent: Agent, ttl: number): number {
  const base = BASE_MS[agent];
  return base * (2 * Math.ceil(Math.sqrt(Math.max(0, ttl) / base)) + 1);
}

/**
 * When an envelope is due that was queued or loaded with `tries` failed attempts: createdAt + base · tries², or so long after the last attempt as
 * the class of its failure says.
 */
export function firstDue(
  agent: Agent,
  { createdAt, tries, retryClass, lastTryAt }: Attempts & { readonly lastTryAt?: number },
): number {
  const wait = classWait(agent, { tries, retryClass });
  return wait === null || lastTryAt === undefined ? createdAt + BASE_MS[agent] * tries * tries : lastTryAt + wait;
}

/**
 * When an envelope is due after its attempt number `tries` failed at `now`: as the class of the failure says, or the first createdAt + base · n² > now
 * with n ≥ tries.
 */
export function nextDue(
  agent: Agent,
  { createdAt, tries, now, retryClass }: Attempts & { readonly now: number },
): number {
  const wait = classWait(agent, { tries, retryClass });
  if (wait !== null) return now + wait;
  const base = BASE_MS[agent];
  let n = Math.max(tries, Math.floor(Math.sqrt(Math.max(0, now - createdAt) / base)));
  while (createdAt + base * n * n <= now) n++;
  return createdAt + base * n * n;
}

/** How long the class of a relay's failure has it wait, in ms; null where the quadratic back-off holds. Local deliveries have that one always. */
function classWait(agent: Agent, { tries, retryClass }: Omit<Attempts, "createdAt">): number | null {
  if (agent !== "mta" || retryClass === undefined || tries < 1) return null;
  const minutes = RETRY_MINUTES[retryClass];
  return minutes[Math.min(tries, minutes.length) - 1]! * 60_000;
}
