/**
 * What the relay would do with the mail of one envelope if each host that it tries were silent: the hosts, in their order and from which address, as data.
 * Each decision is a call of what the relay itself decides by.
 */

import type { RelayAction, RelayLimits } from "../config/mod.ts";
import type { EnvelopeContent } from "../envelope/mod.ts";
import type { Lookups } from "../lookup/mod.ts";
import type { RelaySettings, RelaySource } from "../protocol/mod.ts";
import { better, NO_SOURCE, type Reason } from "../relay/reason.ts";
import { chooseRoute, type ConnectionDemand, reasonBehind } from "../relay/routes/choose.ts";
import {
  type Exchanger,
  type Exchangers,
  exchangersOf,
  type JudgedHost,
  judgeHosts,
  type Names,
  type Survey,
  surveyExchangers,
} from "../relay/routes/mx.ts";
import type { OwnHost } from "../relay/routes/own.ts";
import { RouteTable } from "../relay/routes/routes.ts";
import { nextSource } from "../relay/routes/source.ts";
import { credentialsLack, firstUsable, fromSource, limitsFor, mxTarget, type Target } from "../relay/routes/target.ts";

/** What deciding about a route takes. */
export interface RoutePorts {
  readonly settings: Pick<RelaySettings, "shared" | "actions" | "limits" | "domainLimits">;
  readonly lookups: Pick<Lookups, "smarthosts" | "sources" | "relayCredentials">;
  readonly names: Names;
  readonly own: OwnHost;
  /** Draws among equal hosts: at least 0, less than 1. */
  readonly random: () => number;
  /** Port of MX hosts. */
  readonly mxPort: number;
}

/** One connection. */
export interface Try {
  readonly exchanger: Exchanger;
  /** Milliseconds behind the first one, when the limits have it wait. */
  readonly afterMs: number;
}

/** The way to one destination or smarthost from one local address. */
export interface Leg {
  readonly target: Target;
  readonly limits: RelayLimits;
  /** Why there are no credentials for the label, in words; null when there are, or none are needed. */
  readonly lack: string | null;
  /** Null where the DNS is not asked, since there are no credentials. */
  readonly survey: Survey | null;
  /** The hosts of MX records; empty where there are none. */
  readonly hosts: readonly JudgedHost[];
  readonly found: Exchangers;
  readonly tries: readonly Try[];
}

export interface RoutePlan {
  readonly action: RelayAction | null;
  /** In the order in which they are taken, each when those before have come to nothing. */
  readonly legs: readonly Leg[];
  /** What becomes of the mail when no connection is made at all; null where one is tried. */
  readonly end: { readonly result: "tempfail" | "permfail"; readonly reason: Reason } | null;
}

/** Connections and ways that are told at most: a list of smarthosts may be long. */
const MAX_TRIES = 100, MAX_LEGS = 64;

/** Returns what the relay would do with mail for `dest` by the action of this name. Never rejects but as the ports do. */
export async function planRoute(
  { action: name, dest }: Pick<EnvelopeContent, "action" | "dest">,
  ports: RoutePorts,
): Promise<RoutePlan> {
  const action = Object.hasOwn(ports.settings.actions, name) ? ports.settings.actions[name]! : null;
  if (action === null) return refused(null, `Action "${name}" is not known`);
  const planner = new Planner(action, ports);
  const domain = dest.domain.toLowerCase();
  if (action.host === null && action.domain === null) {
    await planner.via({ ...mxTarget(action, domain), port: ports.mxPort });
    return planner.plan();
  }
  let usable = firstUsable(action, await ports.lookups.smarthosts(name, domain));
  if (!usable.ok) return refused(action, usable.text);
  while (usable.ok && !planner.ended) {
    await planner.via(usable.target);
    usable = firstUsable(action, usable.others);
  }
  return planner.plan();
}

function refused(action: RelayAction | null, text: string): RoutePlan {
  return { action, legs: [], end: { result: "tempfail", reason: { text, enhanced: "4.3.5" } } };
}

class Planner {
  /** Nothing else is tried. */
  ended = false;
  readonly #action: RelayAction;
  readonly #ports: RoutePorts;
  readonly #legs: Leg[] = [];
  /** What has failed on one way is left out on the next. */
  readonly #tries: Tries;
  #result: "tempfail" | "permfail" = "tempfail";
  #reason: Reason | undefined;

  constructor(action: RelayAction, ports: RoutePorts) {
    this.#action = action;
    this.#ports = ports;
    this.#tries = new Tries(ports.random);
  }

  plan(): RoutePlan {
    const tried = this.#legs.some(({ tries }) => tries.length > 0);
    const end = tried ? null : { result: this.#result, reason: this.#reason! };
    return { action: this.#action, legs: this.#legs, end };
  }

  /** One host that was named, or the hosts of the domain: from each local address that the action has. */
  async via(target: Target): Promise<void> {
    const { src } = this.#action;
    if (src === null) {
      const reason = await this.#leg(target);
      if (reason !== null) this.#reason = better(this.#reason, reason);
      return;
    }
    const avoid: string[] = [];
    while (!this.ended) {
      const source = await this.#source(avoid);
      if (source === null) {
        this.#reason = better(this.#reason, this.#reason ?? NO_SOURCE);
        return;
      }
      avoid.push(source.address);
      const from = fromSource(target, source);
      const reason = await this.#leg(from);
      if (reason === null) return;
      if (!this.#legs.at(-1)!.found.ok) {
        this.#reason = better(this.#reason, reason);
        return;
      }
      this.#reason = reasonBehind(this.#reason, reason);
    }
  }

  async #source(avoid: readonly string[]): Promise<RelaySource | null> {
    return await nextSource(async () => await this.#ports.lookups.sources(this.#action.name), avoid);
  }

  /** Returns why the mail goes on to the next way; null when there is none behind this one. */
  async #leg(target: Target): Promise<Reason | null> {
    const leg = await this.#find(target);
    const { tries, reason } = leg.found.ok
      ? this.#tries.of(leg.found.list, leg)
      : { tries: [], reason: { text: leg.found.text, enhanced: leg.found.enhanced } };
    this.#legs.push({ ...leg, tries });
    if (!leg.found.ok && leg.found.result === "permfail") {
      this.#result = "permfail";
      this.#reason = reason;
      this.ended = true;
      return null;
    }
    this.ended = this.#legs.length >= MAX_LEGS;
    return reason;
  }

  async #find(target: Target): Promise<Leg> {
    const { settings, names, own } = this.#ports;
    const limits = limitsFor(settings, target);
    const lack = target.label === "" ? null : await this.#lack(target);
    if (lack !== null) {
      const found: Exchangers = { ok: false, result: "tempfail", text: lack, enhanced: "4.3.5" };
      return { target, limits, lack, survey: null, hosts: [], found, tries: [] };
    }
    const { backup } = this.#action;
    const self = { own, backupName: backup === null ? null : backup.mx ?? settings.shared.serverName };
    const survey = await surveyExchangers(target, names, self);
    const hosts = survey.kind === "records" ? judgeHosts(survey.hosts, target, self) : [];
    return { target, limits, lack, survey, hosts, found: exchangersOf(target, survey, self), tries: [] };
  }

  async #lack(target: Target): Promise<string | null> {
    const found = await this.#ports.lookups.relayCredentials(this.#action.name, target.label);
    return found === null || typeof found === "string" ? credentialsLack(target, found) : null;
  }
}

/** The connections of relays with one message, each of which fails. */
class Tries {
  readonly #random: () => number;
  readonly #table = new RouteTable();
  /** When the last connection to a destination was begun, from whichever local address. */
  readonly #siblings = new Map<string, number>();
  #now = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Until the relay gives up, and why. One that has to wait between two connections may come back to a host meanwhile. */
  of(
    exchangers: readonly Exchanger[],
    { target, limits }: Pick<Leg, "target" | "limits">,
  ): { readonly tries: readonly Try[]; readonly reason: Reason } {
    const tries: Try[] = [];
    let lastConnectAt = -Infinity;
    for (;;) {
      const demand: ConnectionDemand = {
        domain: target.domain,
        exchangers,
        source: target.source?.address ?? null,
        limits,
        pending: 1,
        relay: { connections: 0, lastConnectAt: this.#siblings.get(target.relayKey) ?? -Infinity },
        ...{ connections: 0, idle: 0, ready: 0, lastTakenAt: this.#now, lastConnectAt },
        smarthost: !target.mx,
        mayReplaceSession: false,
        moved: tries.length > 0,
        random: this.#random,
      };
      const choice = chooseRoute(demand, this.#table, this.#now);
      if (choice.kind === "wait") {
        this.#now = choice.until;
        continue;
      }
      if (choice.kind !== "connect") return { tries, reason: choice.kind === "none" ? choice.reason : NOT_ASKED };
      const { exchanger, route } = choice;
      if (tries.length >= MAX_TRIES) return { tries, reason: NOT_ASKED };
      tries.push({ exchanger, afterMs: this.#now });
      this.#table.connecting(route, target.domain, this.#now);
      this.#table.disconnected(route, target.domain, this.#now);
      this.#table.disable(route, 1, "network", this.#now);
      lastConnectAt = this.#now;
      this.#siblings.set(target.relayKey, this.#now);
    }
  }
}

/** What hosts would say is not known. */
const NOT_ASKED: Reason = { text: "Network error on destination MXs", enhanced: "4.4.1" };
