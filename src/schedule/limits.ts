/** How much may run at once: in all, of each agent, and of each lane. Pure. */

import type { Agent } from "../envelope/mod.ts";
import type { SchedulerMarks, TaskMarks } from "../protocol/mod.ts";

/** DSNs that may be written at once. */
const MAX_DSN_JOBS = 20;
/**
 * Shares of the room. Other hosts may be slow, all of them: a fifth stays for what is local. And some stays for users and
 * destinations of which nothing runs yet, however many messages others have.
 */
export const IDLE_SHARE: Readonly<Record<Agent, number>> = { bounce: 1, mda: 1, mta: 0.8 };
export const BUSY_SHARE: Readonly<Record<Agent, number>> = { bounce: 1, mda: 0.7, mta: 0.7 };

export interface Limits {
  /** Envelopes in flight, all agents together. */
  readonly maxInflight: number;
  /** Jobs of one local user or destination domain that run at once. */
  readonly maxPerUser: number;
  readonly maxPerDestination: number;
  readonly marks?: SchedulerMarks;
  /** Actions that send mail for all domains to the same host: a message goes there in one job, whatever the domains of its recipients. */
  readonly smarthostActions?: readonly string[];
  /** Envelopes after which a pass ends, so that what came in meanwhile is taken in before the next; null for no such end. */
  readonly maxSchedule: number | null;
}

/** How many jobs of a lane may run, and when one that had so many gets more. */
export function marksOf({ maxPerUser, maxPerDestination, marks }: Limits, agent: Agent, lane: string): TaskMarks {
  if (agent === "bounce") return { hiwat: MAX_DSN_JOBS, lowat: MAX_DSN_JOBS, release: 0 };
  const hiwat = agent === "mda" ? maxPerUser : maxPerDestination;
  if (marks === undefined) return { hiwat, lowat: hiwat, release: 0 };
  const own = agent === "mta" && Object.hasOwn(marks.domains, lane) ? marks.domains[lane] : undefined;
  return own ?? { hiwat, ...marks[agent] };
}
