/** What the administrator asks of the relay isolate: `smtpctl show hosts`, `show routes`, `show relays`, `show hoststats`, `resume route`. */

import type { Clock } from "../clock.ts";
import type { ControlToRelay, HostRecord, RelayToControl } from "../protocol/mod.ts";
import type { DeliveryReporter } from "./delivery_reporter.ts";
import { type Relay, routeName } from "./relay.ts";
import type { RouteTable } from "./routes/routes.ts";
import { hostRecords, hostStatusRecords, relayRecords, routeRecords, slowest, timeOf } from "./records.ts";
import { showHosts, showHostStats, showRelays, showRoutes } from "./show.ts";

/** What is shown and acted on. */
export interface AdminDeps {
  readonly clock: Pick<Clock, "now" | "steady">;
  readonly table: RouteTable;
  readonly relays: ReadonlyMap<string, Relay>;
  readonly reporter: Pick<DeliveryReporter, "statuses">;
  /** Writes a line to the log. */
  log(text: string): void;
}

/** An answer without the number of its question. */
type Answer =
  | { readonly type: "shown"; readonly lines: readonly string[] }
  | Omit<Extract<RelayToControl, { type: "records" }>, "call">;

/** Does what the administrator asks. Returns what to show; of `resume route` why it was not done, or no lines. */
export function answerAdmin(message: ControlToRelay, deps: AdminDeps): Answer {
  if (message.type === "resume-route") return { type: "shown", lines: resume(message.route, deps) };
  return message.type === "show"
    ? { type: "shown", lines: linesOf(message.what, deps) }
    : { type: "records", ...recordsOf(message, deps) };
}

type What = Extract<ControlToRelay, { type: "show" | "show-records" }>["what"];

function recordsOf(
  { what, slowest: most }: Extract<ControlToRelay, { type: "show" | "show-records" }>,
  { clock, table, relays, reporter }: AdminDeps,
): Omit<Answer & { type: "records" }, "type"> {
  const time = timeOf({ steady: clock.steady(), now: clock.now() });
  switch (what) {
    case "hosts":
      return { hosts: limited(hostRecords(table.hosts(), time), most) };
    case "routes":
      return { routes: routeRecords(table.routes(), time) };
    case "relays":
      return { relays: relayRecords(relays.values(), time) };
    case "hoststats":
      return { hoststats: hostStatusRecords(reporter.statuses, clock.now()) };
  }
}

function limited(hosts: HostRecord[], most: number | undefined): HostRecord[] {
  return most === undefined ? hosts : slowest(hosts, most);
}

function linesOf(what: What, { clock, table, relays, reporter }: AdminDeps): string[] {
  const now = clock.steady();
  switch (what) {
    case "hosts":
      return showHosts(table.hosts(), table.routes(), now);
    case "routes":
      return showRoutes(table.routes(), now);
    case "relays":
      return showRelays(relays.values(), now);
    case "hoststats":
      return showHostStats(reporter.statuses, clock.now());
  }
}

/** Enables a route, or with 0 all that are disabled. */
function resume(id: number, { clock, table, relays, log }: AdminDeps): string[] {
  const now = clock.steady();
  const routes = id === 0 ? [...table.routes()] : [table.byId(id)].filter((route) => route !== undefined);
  if (id !== 0 && routes.length === 0) return [`there is no route ${id}: show routes lists them`];
  const disabled = routes.filter((route) => route.disabled !== null && route.enabledAt > now);
  if (disabled.length === 0) return [id === 0 ? "no route is disabled" : `route ${id} is not disabled`];
  for (const route of disabled) {
    table.forgive(route);
    log(`smtp-out: Enabling route ${routeName(route)} per admin request`);
  }
  for (const relay of [...relays.values()]) relay.wake();
  return [];
}
