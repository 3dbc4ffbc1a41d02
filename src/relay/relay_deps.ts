/** What a relay (relay.ts) needs of the isolate, and what relays of one destination share. */

import type { Clock } from "../clock.ts";
import type { Observer } from "../events/mod.ts";
import type { Exchanger, Exchangers } from "./mx.ts";
import type { Reason } from "./reason.ts";
import type { Route, RouteTable } from "./routes.ts";
import type { Session, SessionOwner } from "./session.ts";
import type { Target } from "./target.ts";
import type { Task } from "./tasks.ts";

/** What a relay needs of the isolate. */
export interface RelayDeps {
  readonly clock: Clock;
  /** The time of day, ms since the epoch. */
  date(): number;
  readonly table: RouteTable;
  /** A line for the log. */
  log(text: string): void;
  /** Hears of decisions. */
  readonly observer: Observer;
  /** Where the mail of the target goes. Never rejects. */
  find(target: Target): Promise<Exchangers>;
  /** A new session; it is not running yet. */
  session(owner: SessionOwner, route: Route, exchanger: Exchanger): Session;
  /** The address turned out to lead to this host. */
  learnOwn(address: string): void;
  /** At least 0, less than 1. */
  random(): number;
  fail(task: Task, result: "tempfail" | "permfail", reason: Reason, domain: string): Promise<void>;
  /** A task with REQUIRETLS, for the relay of such tasks; `exchanger` was tried. */
  elsewhere(task: Task, target: Target, exchanger: Exchanger, reason: string): void;
  /** No route is left from the local address of the target: by another, to another smarthost, or not now. */
  detour(task: Task, target: Target, reason: Reason): Promise<void>;
  /** A task that an exchanger has not decided about, by the relay of those that it is not asked about. */
  moveOn(task: Task, target: Target): void;
  /** The smarthost cannot be used at all: to another, or not now. */
  nextHost(task: Task, target: Target, reason: Reason): Promise<void>;
  /** The relay has neither tasks nor sessions: forget it. */
  empty(relay: { readonly target: Target }): void;
}

/** What the relays of one destination share, one for each local address. */
export interface Siblings {
  /** Relays that are there. */
  relays: number;
  connections: number;
  /** In ms; −Infinity for never. */
  lastConnectAt: number;
}
