/** What `smtpctl show hosts`, `hoststats`, `relays` and `routes` print. Pure. */

import { formatDuration } from "../events/mod.ts";
import type { HostStatus } from "./delivery_reporter.ts";
import { type Relay, routeName } from "./relay.ts";
import type { Host, Route } from "./routes/routes.ts";

/** How long the status of a domain is shown, in ms. */
export const STATUS_MS = 4 * 3_600_000;

/** A time, and the time it is now, by one clock in ms. */
interface Moment {
  readonly at: number;
  readonly now: number;
}

const ago = ({ at, now }: Moment) => Number.isFinite(at) ? formatDuration(Math.round((now - at) / 1000)) : "-";
const left = ({ at, now }: Moment) =>
  Number.isFinite(at) && at > now ? formatDuration(Math.ceil((at - now) / 1000)) : "-";

/** Returns the lines of `smtpctl show hosts`, one for each remote address. `now` in ms of the steady clock. */
export function showHosts(hosts: Iterable<Host>, now: number): string[] {
  return Array.from(hosts, ({ address, name, routes, connections, lastConnectAt }) => {
    // Its routes refer to it, and each of its connections.
    const references = routes + connections;
    return `${address} ${name || address} refcount=${references} nconn=${connections} lastconn=${
      ago({ at: lastConnectAt, now })
    }`;
  });
}

/** Returns the lines of `smtpctl show routes`, one for each pair of local address and host. `now` in ms of the steady clock. */
export function showRoutes(routes: Iterable<Route>, now: number): string[] {
  return Array.from(routes, (route) => {
    const disabled = route.disabled !== null && route.enabledAt > now;
    const flags = `${route.fresh ? "N" : "-"}${disabled ? "D" : "-"}${disabled ? "Q" : "-"}-`;
    const counts = `nconn=${route.connections} nerror=${route.errors} penalty=${route.penalty}`;
    return `${route.id}. ${routeName(route)} ${flags} ${counts} timeout=${
      disabled ? left({ at: route.enabledAt, now }) : "-"
    }`;
  });
}

/** Returns the lines of `smtpctl show relays`, two for each destination and local address. `now` in ms of the steady clock. */
export function showRelays(relays: Iterable<Relay>, now: number): string[] {
  const lines: string[] = [];
  for (const relay of relays) {
    const { tasks, connections, lastConnectAt, timerAt, finding } = relay;
    const times = `lastconn=${ago({ at: lastConnectAt, now })} timeout=${left({ at: timerAt, now })}`;
    const references = tasks + connections;
    const wait = finding ? "mx" : "-";
    lines.push(`${relay.target.name} refcount=${references} ntask=${tasks} nconn=${connections} ${times} wait=${wait}`);
    const source = relay.target.source?.address ?? "";
    lines.push(`  connector [${source}] refcount=${connections} nconn=${connections} ${times} flags=-`);
  }
  return lines;
}

/** Returns the lines of `smtpctl show hoststats`, the last status of each domain of the past hours. `now` in ms since the epoch. */
export function showHostStats(statuses: ReadonlyMap<string, HostStatus>, now: number): string[] {
  const lines: string[] = [];
  for (const [domain, { at, status }] of statuses) {
    if (at > now - STATUS_MS) lines.push(`${domain}|${Math.floor(at / 1000)}|${status}`);
  }
  return lines;
}
