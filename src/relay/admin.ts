/** What the administrator asks of the relay isolate: `smtpctl show hosts`, `show routes`, `show relays`, `show hoststats`, `resume route`. */

import type { Clock } from "../clock.ts";
import type { ControlToRelay } from "../protocol/mod.ts";
import type { DeliveryReporter } from "./delivery_reporter.ts";
import { type Relay, routeName } from "./relay.ts";
import type { RouteTable } from "./routes/routes.ts";
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

/** Does what the administrator asks. Returns the lines to show; of `resume route` why it was not done, or none. */
export function answerAdmin(message: ControlToRelay, deps: AdminDeps): string[] {
  const { clock, table, relays, reporter } = deps;
  if (message.type === "resume-route") return resume(message.route, deps);
  const now = clock.steady();
  switch (message.what) {
    case "hosts":
      return showHosts(table.hosts(), now);
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
