/** Why what is in a lane of the scheduler waits, in words. Pure. */

import type { LaneState, RelayRecord } from "../protocol/mod.ts";
import { spanOf } from "./span.ts";

/** What lanes are of, by agent. */
const SUBJECTS = { mda: "the user", mta: "the destination", bounce: "the message" } as const;
/** What `smtpctl pause` has paused. */
const PAUSED = {
  mda: "local deliveries are paused: smtpctl resume mda ends that",
  mta: "relaying is paused: smtpctl resume mta ends that",
  bounce: "the writing of DSNs is paused",
} as const;

/** What relay knows of a destination, of the records of `show relays`. */
export type RelayState = Pick<RelayRecord, "connections" | "retryAt" | "waitsForMx">;

/**
 * What keeps envelopes of a lane from being tried, as a sentence without its end; null when nothing does but their own time. `relay` is what relay knows of
 * the destination, null for nothing; `now` in ms since the epoch.
 */
export function laneReason(lane: LaneState, relay: RelayState | null, now: number): string | null {
  const { agent, jobs, maxJobs, inflight, limit } = lane, subject = SUBJECTS[agent];
  switch (limit) {
    case "paused":
      return PAUSED[agent];
    case "jobs":
      return `${subject} has as many deliveries under way as may run at once: ${jobs} of ${maxJobs}`;
    case "low-water":
      return `${subject} was at its limit of ${maxJobs} deliveries and gets more when fewer of the ${jobs} run`;
    case "envelopes":
      return `${subject} has as many recipients under way as one may have: ${inflight}`;
    case "room":
      return "as many recipients are under way to all destinations and users as may be";
    case "open":
      break;
    default:
      limit satisfies never;
  }
  if (relay === null) return null;
  if (relay.waitsForMx) return "relay waits for the DNS to tell the mail exchangers";
  if (relay.retryAt !== null && relay.retryAt > now) {
    return `relay connects to ${lane.name} again in ${spanOf(relay.retryAt - now)}, after errors`;
  }
  return null;
}

/** How a lane stands, as one sentence. */
export function describeLane(lane: LaneState, relay: RelayState | null, now: number): string {
  const reason = laneReason(lane, relay, now);
  if (reason !== null) return `${capitalized(reason)}.`;
  const { envelopes, inflight } = lane;
  if (inflight === 0) return `${counted(envelopes)} for the next attempt.`;
  const rest = envelopes - inflight;
  return `${inflight} under way${rest > 0 ? `, ${rest} ${rest === 1 ? "waits" : "wait"} for the next attempt` : ""}.`;
}

function counted(envelopes: number): string {
  return `${envelopes} ${envelopes === 1 ? "waits" : "wait"}`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
