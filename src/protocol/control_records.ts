/** What relay tells control for `smtpctl show hosts --json` and the like. Types and checks only. */

import type { Agent } from "../envelope/mod.ts";
import { type Check, type Fields, finite, flag, nullOr, oneOf, record, text, whole } from "./check.ts";
import { longText } from "./shapes.ts";

/** What `show hosts` says of a remote address. Times here are in ms since the epoch, null for never or none. */
export interface HostRecord {
  readonly address: string;
  readonly name: string;
  readonly references: number;
  readonly connections: number;
  readonly lastConnectAt: number | null;
  /** How long transactions with it take on average; null before the first. */
  readonly transactionMs: number | null;
  /** The last time that it did not take something: what that means (src/reply_class), and what it said. */
  readonly failedAt: number | null;
  readonly failureClass: string | null;
  readonly failure: string | null;
}
/** Of a pair of local address and host. `enabledAt`: when it may be used again. */
export interface RouteRecord {
  readonly route: number;
  /** Null for any local address. */
  readonly source: string | null;
  readonly host: string;
  readonly isNew: boolean;
  readonly disabled: "network" | "rejects" | "blocked" | null;
  readonly connections: number;
  readonly errors: number;
  readonly penalty: number;
  readonly enabledAt: number | null;
  /** Times in a row that the host said that it blocks this server, and what it said last. */
  readonly blocks: number;
  readonly blockReply: string | null;
}
/** Of a destination and local address. `retryAt`: when it connects again. */
export interface RelayRecord {
  readonly relay: string;
  readonly source: string | null;
  readonly tasks: number;
  readonly connections: number;
  readonly lastConnectAt: number | null;
  readonly retryAt: number | null;
  readonly waitsForMx: boolean;
}
/** Of a domain that mail was relayed to. */
export interface HostStatusRecord {
  readonly domain: string;
  readonly at: number;
  readonly status: string;
}

const time = nullOr(finite);
export const host: Check<HostRecord> = record<HostRecord>({
  address: text(),
  name: text(),
  references: whole(),
  connections: whole(),
  lastConnectAt: time,
  transactionMs: nullOr(finite),
  failedAt: time,
  failureClass: nullOr(text()),
  failure: nullOr(longText),
});
export const route: Check<RouteRecord> = record<RouteRecord>({
  route: whole({ least: Number.MIN_SAFE_INTEGER }),
  source: nullOr(text()),
  host: text(),
  isNew: flag,
  disabled: nullOr(oneOf("network", "rejects", "blocked")),
  connections: whole(),
  errors: whole(),
  penalty: finite,
  enabledAt: time,
  blocks: whole(),
  blockReply: nullOr(longText),
});
export const relay: Check<RelayRecord> = record<RelayRecord>({
  relay: text(),
  source: nullOr(text()),
  tasks: whole(),
  connections: whole(),
  lastConnectAt: time,
  retryAt: time,
  waitsForMx: flag,
});
export const hostStatus: Check<HostStatusRecord> = record<HostStatusRecord>({
  domain: text(),
  at: finite,
  status: longText,
});

/**
 * Why no more of a lane may run now: its agent is paused, as many jobs run as may, they hold as many envelopes as one lane may have, or after it was full
 * it waits until fewer jobs run; or all agents together hold as many envelopes as may be under way. `open`: nothing of that.
 */
const LANE_LIMITS = ["open", "paused", "jobs", "envelopes", "low-water", "room"] as const;

/** How a lane of the scheduler stands. */
export interface LaneState {
  readonly agent: Agent;
  readonly action: string;
  /** The destination, or the user. */
  readonly name: string;
  readonly envelopes: number;
  readonly inflight: number;
  /** Jobs that run, and how many may. */
  readonly jobs: number;
  readonly maxJobs: number;
  readonly limit: typeof LANE_LIMITS[number];
}
/** A lane, and since when the oldest envelope in it waits: `oldestAt` in ms since the epoch. */
export interface LaneRecord extends LaneState {
  readonly oldestAt: number;
}
const LANE: Fields<LaneState> = {
  agent: oneOf("mda", "mta", "bounce"),
  action: text(),
  name: text(),
  envelopes: whole(),
  inflight: whole(),
  jobs: whole(),
  maxJobs: whole(),
  limit: oneOf(...LANE_LIMITS),
};
export const laneState: Check<LaneState> = record<LaneState>(LANE);
export const lane: Check<LaneRecord> = record<LaneRecord>({ ...LANE, oldestAt: finite });
