/** What the relay isolate is given from outside, and what its sessions need of it: secrets, TLS, names of hosts, filters. */

import type { Clock } from "../../clock.ts";
import type { RelayAction } from "../../config/mod.ts";
import type { Resolver } from "../../dns/mod.ts";
import { type Caller, type Isolate, PeerGone } from "../../isolate/mod.ts";
import type { Credentials, FromLookup, ToLookup } from "../../protocol/mod.ts";
import type { connectClient, Timeouts, TlsOptions } from "../../smtp_client/mod.ts";
import type { DeliveryReporter } from "../delivery_reporter.ts";
import { RelayFilters } from "./filters.ts";
import type { Names } from "../routes/mx.ts";
import type { OwnHost } from "../routes/own.ts";
import type { Host } from "../routes/routes.ts";
import type { SessionDeps } from "./session.ts";
import { credentialsLack, type Target } from "../routes/target.ts";

/** What tests put in place of the real thing. */
export interface RelayServiceDeps {
  readonly clock: Clock;
  readonly names: Names & Pick<Resolver, "reverse">;
  /** How long hosts may take. */
  readonly timeouts: Timeouts;
  /** Opens connections to hosts. */
  readonly connect: typeof connectClient;
  /** Port of MX hosts. */
  readonly mxPort: number;
  readonly own: OwnHost;
  /** Draws among equal hosts: at least 0, less than 1. */
  readonly random: () => number;
}

/** How long connecting waits for the name of a host, which only the log needs, in ms. */
const NAME_MS = 500;

/** Returns what the sessions of this isolate need; `lookup` is asked for secrets. */
export function sessionDeps(
  isolate: Isolate<"relay">,
  deps: RelayServiceDeps,
  lookup: Caller<ToLookup, FromLookup>,
  reporter: DeliveryReporter,
): SessionDeps {
  let filters: RelayFilters | null = null;
  const makeFilters = () =>
    filters ??= new RelayFilters((index) => isolate.ask("relay-filter", index), () => isolate.settings, deps.clock.now);
  return {
    shared: isolate.settings.shared,
    clock: deps.clock,
    observer: isolate,
    reporter,
    timeouts: deps.timeouts,
    connect: deps.connect,
    tlsOptions: (target) => tlsOptionsOf(isolate, target.action),
    credentials: (target) => findCredentials(lookup, target),
    hostName: (host) => nameOf(host, deps),
    isSelf: (name) => deps.own.greets(name),
    // Made for the first action that has one.
    get filters() {
      return filters ?? (Object.keys(isolate.settings.filters ?? {}).length === 0 ? undefined : makeFilters());
    },
  };
}

/** Resolves to the secret of the target's label, or to the reason, as a text, when there is none. */
export async function findCredentials(
  lookup: Caller<ToLookup, FromLookup>,
  target: Target,
): Promise<Credentials | string> {
  try {
    const question = { type: "credentials", action: target.action.name, label: target.label } as const;
    const { credentials, lack = null } = await lookup.ask<"credentials">(question);
    return credentials ?? credentialsLack(target, lack);
  } catch (error) {
    if (error instanceof PeerGone) return credentialsLack(target, null);
    throw error;
  }
}

function tlsOptionsOf(isolate: Isolate<"relay">, action: RelayAction): Omit<TlsOptions, "serverName" | "verify"> {
  const { pki, ca } = isolate.settings;
  const pair = action.pki === null ? undefined : pki[action.pki];
  return {
    ca: action.ca === null ? null : ca[action.ca] ?? null,
    cert: pair?.cert ?? null,
    key: pair?.key ?? null,
    protocols: action.protocols,
  };
}

/** The name is kept with the host; a slow answer comes in time for the next line. */
async function nameOf(host: Host, { clock, names }: Pick<RelayServiceDeps, "clock" | "names">): Promise<string> {
  if (host.name !== "") return host.name;
  const asked = names.reverse(host.address).then(({ hostname }) => host.name = hostname);
  let cancel = () => {};
  const late = new Promise<string>((resolve) => cancel = clock.after(NAME_MS, () => resolve("<unknown>")));
  const name = await Promise.race([asked, late]);
  cancel();
  return name;
}
