/** What `smtpctl show hosts`, `hoststats`, `relays` and `routes` tell programs: as show.ts prints it, with types. Pure. */

import type { HostRecord, HostStatusRecord, RelayRecord, RouteRecord } from "../protocol/mod.ts";
import type { HostStatus } from "./delivery_reporter.ts";
import type { Relay } from "./relay.ts";
import type { Host, Route } from "./routes/routes.ts";
import { STATUS_MS } from "./show.ts";

/** One moment by both clocks, in ms. */
interface Moment {
  readonly steady: number;
  readonly now: number;
}

/** Turns a time of the steady clock into ms since the epoch; what never was or will be, and with `ahead` what is over, is null. */
type Time = (at: number, when?: "ahead") => number | null;

/** Returns what turns times, for one moment. */
export function timeOf({ steady, now }: Moment): Time {
  return (at, when) =>
    !Number.isFinite(at) || (when === "ahead" && at <= steady) ? null : Math.round(now + at - steady);
}

/** One for each remote address. */
export function hostRecords(hosts: Iterable<Host>, time: Time): HostRecord[] {
  return Array.from(hosts, ({ address, name, routes, connections, lastConnectAt, transactionMs, lastFailure }) => ({
    address,
    name: name || address,
    references: routes + connections,
    connections,
    lastConnectAt: time(lastConnectAt),
    transactionMs: transactionMs === null ? null : Math.round(transactionMs),
    failedAt: lastFailure === null ? null : time(lastFailure.at),
    failureClass: lastFailure?.replyClass ?? null,
    failure: lastFailure?.text ?? null,
  }));
}

/** The slowest of these, at most `most` of those of which it is known. */
export function slowest(hosts: readonly HostRecord[], most: number): HostRecord[] {
  return hosts.filter(({ transactionMs }) => transactionMs !== null)
    .sort((one, other) => other.transactionMs! - one.transactionMs!)
    .slice(0, most);
}

/** One for each pair of local address and host. */
export function routeRecords(routes: Iterable<Route>, time: Time): RouteRecord[] {
  return Array.from(routes, (route) => {
    const { id, source, host, fresh, disabled, connections, errors, penalty, enabledAt, blocks, blockReply } = route;
    const until = disabled === null ? null : time(enabledAt, "ahead");
    return {
      route: id,
      source,
      host: host.address,
      isNew: fresh,
      disabled: until === null ? null : disabled,
      connections,
      errors,
      penalty,
      enabledAt: until,
      blocks,
      blockReply: blocks === 0 ? null : blockReply,
    };
  });
}

/** One for each destination and local address. */
export function relayRecords(relays: Iterable<Relay>, time: Time): RelayRecord[] {
  return Array.from(relays, ({ target, tasks, connections, lastConnectAt, timerAt, finding }) => ({
    relay: target.name,
    source: target.source?.address ?? null,
    tasks,
    connections,
    lastConnectAt: time(lastConnectAt),
    retryAt: time(timerAt, "ahead"),
    waitsForMx: finding,
  }));
}

/** The last status of each domain of the past hours. `now` in ms since the epoch. */
export function hostStatusRecords(statuses: ReadonlyMap<string, HostStatus>, now: number): HostStatusRecord[] {
  return Array.from(statuses, ([domain, { at, status }]) => ({ domain, at, status }))
    .filter(({ at }) => at > now - STATUS_MS);
}
