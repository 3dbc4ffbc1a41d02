/**
 * What is known of hosts and routes (local address and host): how many connections each has, when they began and ended, and the back-off of those that
 * failed: a route that is disabled is tried again after 15 s times the square of its penalty, after an hour at most. The retry of messages is
 * scheduled elsewhere, src/schedule/backoff.ts. Pure state with the time as an argument (ms of the steady clock); timers are the caller's.
 */

import type { ReplyClass } from "../../reply_class/mod.ts";
import type { Reason } from "../reason.ts";

/** A remote address. */
export interface Host {
  readonly address: string;
  /** Name by reverse DNS; "" until it is known. */
  name: string;
  /** Routes that lead to it. */
  routes: number;
  connections: number;
  /** When a connection to it was last begun; −Infinity for never. */
  lastConnectAt: number;
  /** How many recipients it takes in one transaction, by its refusals, and until when that holds; null for any number. */
  rcptMax: { readonly most: number; readonly until: number } | null;
  /** How long transactions with it take, in ms: of the last few on average; null before the first. */
  transactionMs: number | null;
  /** The last time that it did not take something; null for never. For the administrator alone: it may name correspondents. */
  lastFailure: HostFailure | null;
}

/** What a host said when it did not take a message or a session. */
export interface HostFailure {
  readonly replyClass: ReplyClass;
  readonly text: string;
  /** In ms of the steady clock. */
  readonly at: number;
}

/** From a local address to one host. */
export interface Route {
  readonly id: number;
  /** null for any local address. */
  readonly source: string | null;
  readonly host: Host;
  connections: number;
  /** No session was ready yet since it was made or enabled again. */
  fresh: boolean;
  /** Failed sessions in all. */
  errors: number;
  /** Sessions in a row that the host ended over their first message. */
  broken: number;
  penalty: number;
  /** Why it must not be used; null when it may. */
  disabled: "network" | "rejects" | "blocked" | null;
  /** Times in a row that the host has said that it blocks this server, without a message that it took in between; 0 for none. */
  blocks: number;
  /** What it said then; for the administrator alone. */
  blockReply: string;
  /** What it was disabled for, fit to be the reason for any message that goes this way; null when a session got ready since. */
  failure: Reason | null;
  enabledAt: number;
  lastConnectAt: number;
  lastDisconnectAt: number;
}

/** Connections with something in common: how many there are, and when the last began (−Infinity for never). */
export interface Traffic {
  readonly connections: number;
  readonly lastConnectAt: number;
}

const NO_TRAFFIC: Traffic = { connections: 0, lastConnectAt: -Infinity };

/** Back-off of a route: 15 s · penalty², an hour at most. */
const PENALTY_BASE_MS = 15_000;
const PENALTY_MAX_MS = 3_600_000;
/** A host that blocks this server is left alone for 15 minutes, and twice as long each time in a row, four hours at most. */
const BLOCK_BASE_MS = 15 * 60_000, BLOCK_MAX_MS = 4 * 3_600_000;
/** Longest reply that is kept of a host for the administrator, in UTF-16 units. */
const MAX_REPLY_CHARS = 300;
/** Hosts that are remembered. Those without connection and penalty are forgotten first. */
const MAX_HOSTS = 10_000;
/** A host is asked again after so long whether it takes more recipients in one transaction. */
const RCPT_MAX_MS = 3_600_000;

/** What the last transaction counts in the average. */
const LAST_WEIGHT = 0.25;

/** Remembers what a host said, or what happened with it, when it did not take something. */
export function learnFailure(host: Host, { replyClass, text, at }: HostFailure): void {
  host.lastFailure = { replyClass, text: text.slice(0, MAX_REPLY_CHARS), at };
}

/** Takes into account that a transaction with the host has taken `ms`. */
export function learnPace(host: Host, ms: number): void {
  host.transactionMs = host.transactionMs === null ? ms : host.transactionMs + LAST_WEIGHT * (ms - host.transactionMs);
}

/** Remembers at `now` (ms) that a host refuses recipients for being more than `most` in one transaction. */
export function learnRcptMax(host: Host, { most, now }: { readonly most: number; readonly now: number }): void {
  host.rcptMax = { most, until: now + RCPT_MAX_MS };
}

/** Returns how many recipients a host is known to take in one transaction; null for any number. */
export function knownRcptMax({ rcptMax }: Host, now: number): number | null {
  return rcptMax !== null && now < rcptMax.until ? rcptMax.most : null;
}

export class RouteTable {
  readonly #routes = new Map<string, Route>();
  readonly #hosts = new Map<string, Host>();
  readonly #domains = new Map<string, Traffic>();
  /** By local address, null for any. The configuration's tables name them: they are few. */
  readonly #sources = new Map<string | null, Traffic>();
  #nextId = 1;
  /** Connections of this isolate in all. */
  connections = 0;
  /** Called when a route is back in use because its time is over. */
  onenabled: (route: Route) => void = () => {};

  get size(): number {
    return this.#routes.size;
  }

  routes(): Iterable<Route> {
    return this.#routes.values();
  }

  byId(id: number): Route | undefined {
    for (const route of this.#routes.values()) if (route.id === id) return route;
    return undefined;
  }

  /** Returns the route to an address from a local one (null for any), made when it is new. */
  route(address: string, now: number, source: string | null = null): Route {
    const key = source === null ? address : `${source} ${address}`;
    const known = this.#routes.get(key);
    if (known !== undefined) {
      if (known.disabled !== null && known.enabledAt <= now) this.#enable(known);
      if (known.penalty > 0 && known.disabled === null && known.enabledAt + PENALTY_MAX_MS <= now) known.penalty = 0;
      return known;
    }
    if (this.#routes.size >= MAX_HOSTS) this.#forget(now);
    const route: Route = {
      id: this.#nextId++,
      source,
      host: this.#host(address),
      connections: 0,
      fresh: true,
      errors: 0,
      broken: 0,
      penalty: 0,
      disabled: null,
      blocks: 0,
      blockReply: "",
      failure: null,
      enabledAt: 0,
      lastConnectAt: -Infinity,
      lastDisconnectAt: -Infinity,
    };
    this.#routes.set(key, route);
    return route;
  }

  /** The host of one more route. */
  #host(address: string): Host {
    const host = this.#hosts.get(address) ?? {
      ...{ address, name: "", routes: 0, connections: 0, lastConnectAt: -Infinity },
      ...{ rcptMax: null, transactionMs: null, lastFailure: null },
    };
    host.routes++;
    this.#hosts.set(address, host);
    return host;
  }

  hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  domain(name: string): Traffic {
    return this.#domains.get(name) ?? NO_TRAFFIC;
  }

  /** From a local address, null for any. */
  source(address: string | null): Traffic {
    return this.#sources.get(address) ?? NO_TRAFFIC;
  }

  connecting(route: Route, domain: string, now: number): void {
    const known = this.domain(domain);
    this.#domains.set(domain, { connections: known.connections + 1, lastConnectAt: now });
    this.#sources.set(route.source, { connections: this.source(route.source).connections + 1, lastConnectAt: now });
    this.connections++;
    route.connections++;
    route.lastConnectAt = now;
    route.host.connections++;
    route.host.lastConnectAt = now;
  }

  /** Notes that a session got so far that mail can be sent: the route is good. */
  ready(route: Route): void {
    // After a block only a message that is taken says that it is over.
    route.fresh = route.blocks > 0;
    route.penalty = 0;
    route.failure = null;
  }

  /** Notes that the host has taken a message: it does not block this server. */
  accepted(route: Route): void {
    if (route.blocks === 0) return;
    route.blocks = 0;
    route.blockReply = "";
    if (route.disabled === null) route.fresh = false;
  }

  /**
   * Leaves routes alone whose hosts block this server, as `reply` says, for longer each time. Returns for how long, in ms; null when the first of them, the
   * one that was used, is suspended already.
   */
  suspend(routes: readonly Route[], { reply, now }: { readonly reply: string; readonly now: number }): number | null {
    const used = routes[0];
    if (used === undefined || (used.disabled === "blocked" && used.enabledAt > now)) return null;
    const blocks = used.blocks + 1;
    const delay = Math.min(BLOCK_BASE_MS * 2 ** (blocks - 1), BLOCK_MAX_MS);
    for (const route of routes) {
      route.blocks = blocks;
      route.blockReply = reply.slice(0, MAX_REPLY_CHARS);
      route.disabled = "blocked";
      route.enabledAt = now + delay;
    }
    used.errors++;
    return delay;
  }

  /** Notes that a connection has ended, whatever became of it. */
  disconnected(route: Route, domain: string, now: number): void {
    const known = this.domain(domain);
    this.#domains.set(domain, { ...known, connections: known.connections - 1 });
    if (this.#domains.size > MAX_HOSTS) this.#forgetDomains();
    const source = this.source(route.source);
    this.#sources.set(route.source, { ...source, connections: source.connections - 1 });
    this.connections--;
    route.connections--;
    route.host.connections--;
    route.lastDisconnectAt = now;
  }

  /** Disables a route after an error, for longer each time (back-off). Returns for how long, in ms. */
  disable(
    route: Route,
    penalty: number,
    why: "network" | "rejects",
    now: number,
    failure: Reason | null = null,
  ): number {
    route.failure = failure;
    route.penalty += penalty;
    const delay = Math.min(PENALTY_BASE_MS * route.penalty ** 2, PENALTY_MAX_MS);
    route.errors++;
    route.disabled = why;
    route.enabledAt = now + delay;
    return delay;
  }

  /**
   * Back in use after its time, on probation. The penalty stays until a session gets ready or an hour has passed, so that a host that is down costs
   * 15, 60, 135 … s; upstream takes one off here and so never gets beyond the first step.
   */
  #enable(route: Route): void {
    route.disabled = null;
    route.fresh = true;
    this.onenabled(route);
  }

  /** Enables a route on the administrator's command, without penalty. */
  forgive(route: Route): void {
    route.disabled = null;
    route.fresh = true;
    route.penalty = 0;
    route.blocks = 0;
    route.blockReply = "";
  }

  #forgetDomains(): void {
    for (const [name, { connections }] of this.#domains) if (connections === 0) this.#domains.delete(name);
  }

  /** Drops routes that nothing has to be remembered about: no connection, no penalty, unused for a minute; else the oldest unused ones. */
  #forget(now: number): void {
    for (const strict of [true, false]) {
      for (const [key, route] of this.#routes) {
        if (this.#routes.size <= MAX_HOSTS * 0.9) return;
        if (
          route.connections > 0 ||
          (strict && (route.penalty > 0 || route.blocks > 0 || route.lastDisconnectAt > now - 60_000))
        ) continue;
        this.#routes.delete(key);
        if (--route.host.routes === 0) this.#hosts.delete(route.host.address);
      }
    }
  }
}
