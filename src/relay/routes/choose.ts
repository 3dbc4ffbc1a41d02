/**
 * Returns the reason for mail that was not sent from one local address, for `found`, and goes from the next one; `earlier` is that of those before. That
 * an address is of the wrong family says less than why the others failed.
 */
export function reasonBehind(earlier: Reason | undefined, found: Reason): Reason {
  const old = earlier ?? FAMILY_MISMATCH;
  return old === FAMILY_MISMATCH ? found : found === FAMILY_MISMATCH ? old : better(old, found);
}

/**
 * Decides whether a relay opens another connection now, and by which route: connection limits (max-conn-per-…), delays (conn-delay-…), MX preference
 * and routes that are disabled after errors. Pure: state and time in, decision out.
 */

import type { RelayLimits } from "../../config/mod.ts";
import { DEFAULT_RELAY_LIMITS } from "../../config/defaults.ts";
import { familyOf } from "../../net/mod.ts";
import { type Exchanger, ofFamily } from "./mx.ts";
import { better, type Reason } from "../reason.ts";
import type { Route, RouteTable, Traffic } from "./routes.ts";

/** What a relay has to send, and the connections that it has for that. Times in ms of the steady clock. */
export interface ConnectionDemand {
  readonly domain: string;
  readonly exchangers: readonly Exchanger[];
  /** Local address to connect from; null for any. */
  readonly source: string | null;
  readonly limits: RelayLimits;
  /** Tasks that no session has taken. */
  readonly pending: number;
  /** The connections of all local addresses that mail for this destination goes out from. */
  readonly relay: Traffic;
  /** Sessions in all; those that wait for work; those that mail has gone through. */
  readonly connections: number;
  readonly idle: number;
  readonly ready: number;
  /** When a session last took a task, and when the last connection was begun. */
  readonly lastTakenAt: number;
  readonly lastConnectAt: number;
  /** The administrator named this host, so that it may be used to the full when work piles up. */
  readonly smarthost: boolean;
  /** A session that went well has just ended as agreed: another may take its place without delay, for the number of connections does not grow. */
  readonly mayReplaceSession: boolean;
  /** The last host could not be used: the next one is tried at once (RFC 5321 §5.1). */
  readonly moved: boolean;
  /** Draws among equals: at least 0, less than 1. */
  readonly random: () => number;
}

export type Choice =
  | { readonly kind: "connect"; readonly exchanger: Exchanger; readonly route: Route }
  /** Ask again at this time, or when something changes. */
  | { readonly kind: "wait"; readonly until: number }
  /** Enough connections. */
  | { readonly kind: "enough" }
  /** No way out. */
  | { readonly kind: "none"; readonly reason: Reason };

/** When a connection limit is reached, it is looked at again after this time; a session that ends asks again at once. */
const LIMIT_RETRY_MS = 5_000;
/** So many waiting tasks per connection to a smarthost make a pile: its connections need not wait for the default delays. */
const PILE = 10;
/** A task that no session has taken for so long gets a connection of its own. */
const STALL_MS = 2_000;

/** No exchanger has an address of the required family. */
export const FAMILY_MISMATCH: Reason = { text: "Address family mismatch on destination MXs", enhanced: "4.4.4" };

/**
 * Decides whether a relay opens another connection at `now` (ms of the steady clock), and by which route: over the connection limits and delays of
 * relay, connector, domain and source it waits, and it goes by ascending MX preference (RFC 5321 §5.1) past hosts that are disabled. Never throws.
 */
export function chooseRoute(demand: ConnectionDemand, table: RouteTable, now: number): Choice {
  const wanted = connectionWanted(demand, now);
  if (wanted !== null) return wanted;
  const { limits, exchangers } = demand;
  const usable = fromSource(ofFamily(exchangers, limits.family), demand.source);
  if (exchangers.length === 0) {
    return { kind: "none", reason: { text: "No MX found for destination", enhanced: "4.4.4" } };
  }
  if (usable.length === 0) return { kind: "none", reason: FAMILY_MISMATCH };
  const moment = { now, hurried: isPile(demand) };
  const blocked = relayBlockedUntil(demand, table, moment);
  if (blocked > now && !allDisabled(usable, demand.source, table, now)) return { kind: "wait", until: blocked };
  return walk(usable, demand, table, moment);
}

interface Moment {
  /** Milliseconds of the steady clock. */
  readonly now: number;
  /** A pile waits for the administrator's own host. */
  readonly hurried: boolean;
}

/** null when another connection is needed. */
function connectionWanted(demand: ConnectionDemand, now: number): Choice | null {
  const { pending, connections, idle, lastTakenAt, lastConnectAt } = demand;
  if (pending === 0 || pending <= idle) return { kind: "enough" };
  if (connections > 2 && connections >= pending / 2) return { kind: "enough" };
  // Sessions that work, or will in a moment, take a task each; only what they cannot keep up with needs another connection.
  const stalledAt = Math.max(lastTakenAt, lastConnectAt) + STALL_MS;
  if (connections > 0 && pending <= connections && now < stalledAt) return { kind: "wait", until: stalledAt };
  return null;
}

function fromSource(list: readonly Exchanger[], source: string | null): readonly Exchanger[] {
  return source === null ? list : ofFamily(list, familyOf(source));
}

function isPile(demand: ConnectionDemand): boolean {
  return demand.smarthost && demand.ready > 0 && demand.pending > PILE * demand.connections;
}

/** Until when the connection limits and delays of relay, domain, connector and source forbid a connection. */
function relayBlockedUntil(demand: ConnectionDemand, table: RouteTable, { now, hurried }: Moment): number {
  const { limits, connections, relay, lastConnectAt } = demand;
  const domain = table.domain(demand.domain);
  const source = table.source(demand.source);
  const full = relay.connections >= limits.maxConnPerRelay || connections >= limits.maxConnPerConnector ||
    domain.connections >= limits.maxConnPerDomain || source.connections >= limits.maxConnPerSource;
  if (full) return now + LIMIT_RETRY_MS;
  const delayed = delaysOf(demand, { hurried: hurried || demand.moved });
  return Math.max(
    now,
    relay.lastConnectAt + delayed("connDelayRelay"),
    lastConnectAt + delayed("connDelayConnector"),
    domain.lastConnectAt + delayed("connDelayDomain"),
    source.lastConnectAt + delayed("connDelaySource"),
  );
}

type Delay = Extract<keyof RelayLimits, `${string}elay${string}`>;

/**
 * Returns the delays in ms. Those of the default spare the hosts of others: a pile at the administrator's own host and a session that takes the
 * place of one that went well need not wait for them. What the administrator wrote holds always.
 */
function delaysOf(
  { limits, mayReplaceSession }: ConnectionDemand,
  { hurried }: Pick<Moment, "hurried">,
): (delay: Delay) => number {
  const exempt = hurried || mayReplaceSession;
  return (delay) => exempt && limits[delay] === DEFAULT_RELAY_LIMITS[delay] ? 0 : limits[delay] * 1000;
}

function allDisabled(list: readonly Exchanger[], source: string | null, table: RouteTable, now: number): boolean {
  return list.every(({ address }) => table.route(address, now, source).disabled !== null);
}

interface Candidate {
  readonly exchanger: Exchanger;
  readonly route: Route;
}

/** By ascending preference; a worse one only when all better ones are in error, not when they only have to wait. */
function walk(
  list: readonly Exchanger[],
  demand: ConnectionDemand,
  table: RouteTable,
  moment: Moment,
): Choice {
  const { now } = moment;
  let rejects = false;
  let reason: Reason | null = null;
  for (let start = 0; start < list.length;) {
    const { preference } = list[start]!;
    let end = start;
    const free: Candidate[] = [];
    let until = Infinity;
    for (; end < list.length && list[end]!.preference === preference; end++) {
      const exchanger = list[end]!;
      const route = table.route(exchanger.address, now, demand.source);
      if (route.disabled !== null) {
        rejects ||= route.disabled !== "network";
        if (route.failure !== null) reason = better(reason, route.failure);
        continue;
      }
      const freeAt = routeBlockedUntil(route, demand, moment);
      if (freeAt > now) until = Math.min(until, freeAt);
      else free.push({ exchanger, route });
    }
    if (free.length > 0) return { kind: "connect", ...draw(free, demand.random) };
    if (until < Infinity) return { kind: "wait", until };
    start = end;
  }
  const text = rejects ? "Destination seems to reject all mails" : "Network error on destination MXs";
  return { kind: "none", reason: reason ?? { text, enhanced: rejects ? "4.0.0" : "4.4.1" } };
}

/**
 * RFC 5321 §5.1: one of equal hosts at random, so that each bears its share; those with the fewest connections first. Of a host's addresses
 * one at random too, IPv4 before IPv6.
 */
function draw(free: readonly Candidate[], random: () => number): Candidate {
  const fewest = Math.min(...free.map(({ route }) => route.connections));
  const equal = free.filter(({ route }) => route.connections === fewest);
  const one = <T>(list: readonly T[]): T => list[Math.min(list.length - 1, Math.floor(random() * list.length))]!;
  const host = one([...new Set(equal.map(({ exchanger }) => exchanger.host))]);
  const own = equal.filter(({ exchanger }) => exchanger.host === host);
  const four = own.filter(({ exchanger }) => familyOf(exchanger.address) === 4);
  return one(four.length > 0 ? four : own);
}

function routeBlockedUntil(route: Route, demand: ConnectionDemand, { now, hurried }: Moment): number {
  const { limits } = demand;
  // On probation one connection is enough to find out.
  if (route.fresh && route.connections > 0) return now + LIMIT_RETRY_MS;
  if (route.connections >= limits.maxConnPerRoute) return now + LIMIT_RETRY_MS;
  if (route.host.connections >= limits.maxConnPerHost) return now + LIMIT_RETRY_MS;
  const delayed = delaysOf(route.fresh ? { ...demand, mayReplaceSession: false } : demand, {
    hurried: hurried && !route.fresh,
  });
  return Math.max(
    now,
    route.lastConnectAt + delayed("connDelayRoute"),
    route.lastDisconnectAt + delayed("reconnDelayRoute"),
    route.host.lastConnectAt + delayed("connDelayHost"),
  );
}
