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

/** A host's words in a line of ours. */
// deno-lint-ignore no-control-regex
const quoted = (text: string) => text.replace(/[\x00-\x1f\x7f]+/g, " ").trim();

/** Why a route is left alone, as a sentence; null when it is for another reason than a block. */
function blockSentence(route: Route, now: number): string | null {
  if (route.disabled !== "blocked" || route.enabledAt <= now) return null;
  const from = route.source === null ? "" : ` from ${route.source}`;
  const times = route.blocks === 1 ? "" : `, for the ${route.blocks}${ordinal(route.blocks)} time in a row`;
  return `Mail${from} is suspended for ${
    left({ at: route.enabledAt, now })
  }: the host blocks this server${times}. It said: ${quoted(route.blockReply)}`;
}

function ordinal(number: number): string {
  const last = number % 100 > 10 && number % 100 < 14 ? 0 : number % 10;
  return last === 1 ? "st" : last === 2 ? "nd" : last === 3 ? "rd" : "th";
}

/**
 * Returns the lines of `smtpctl show hosts`: one for each remote address, and below it, with two blanks in front, its last failure and why it is left
 * alone. `now` in ms of the steady clock.
 */
export function showHosts(hosts: Iterable<Host>, routes: Iterable<Route>, now: number): string[] {
  const suspended = new Map<Host, string[]>();
  for (const route of routes) {
    const sentence = blockSentence(route, now);
    if (sentence !== null) suspended.set(route.host, [...suspended.get(route.host) ?? [], `  ${sentence}`]);
  }
  return Array.from(hosts).flatMap((host) => {
    const { address, name, routes, connections, lastConnectAt, lastFailure } = host;
    // Its routes refer to it, and each of its connections.
    const references = routes + connections;
    const line = `${address} ${name || address} refcount=${references} nconn=${connections} lastconn=${
      ago({ at: lastConnectAt, now })
    }`;
    const failure = lastFailure === null || lastFailure.at <= now - STATUS_MS ? [] : [
      `  Last failure ${ago({ at: lastFailure.at, now })} ago, class ${lastFailure.replyClass}: ${
        quoted(lastFailure.text)
      }`,
    ];
    return [line, ...suspended.get(host) ?? [], ...failure];
  });
}

/**
 * Returns the lines of `smtpctl show routes`: one for each pair of local address and host, and below it, with two blanks in front, why it is left alone.
 * `now` in ms of the steady clock.
 */
export function showRoutes(routes: Iterable<Route>, now: number): string[] {
  return Array.from(routes).flatMap((route) => {
    const disabled = route.disabled !== null && route.enabledAt > now;
    const flags = `${route.fresh ? "N" : "-"}${disabled ? "D" : "-"}${disabled ? "Q" : "-"}-`;
    const counts = `nconn=${route.connections} nerror=${route.errors} penalty=${route.penalty}`;
    const timeout = disabled ? left({ at: route.enabledAt, now }) : "-";
    const line = `${route.id}. ${routeName(route)} ${flags} ${counts} timeout=${timeout}`;
    const sentence = blockSentence(route, now);
    return sentence === null ? [line] : [line, `  ${sentence}`];
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
