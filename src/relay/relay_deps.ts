/** What a relay (relay.ts) needs of the isolate, and what relays of one destination share. */

import type { Clock } from "../clock.ts";
import type { Observer } from "../events/mod.ts";
import type { Exchanger, Exchangers } from "./routes/mx.ts";
import type { Reason } from "./reason.ts";
import type { Route, RouteTable } from "./routes/routes.ts";
import type { Session, SessionOwner } from "./session/session.ts";
import type { Target } from "./routes/target.ts";
import type { Task } from "./tasks.ts";

/** What a relay needs of the isolate. */
export interface RelayDeps {
  readonly clock: Clock;
  readonly table: RouteTable;
  /** Writes a line to the log. */
  log(text: string): void;
  /** Receives trace and debug lines where they are enabled. */
  readonly observer: Observer;
  /** Looks up where the mail of the target goes. Never rejects. */
  find(target: Target): Promise<Exchangers>;
  /** Makes a session; it is not running yet. */
  session(owner: SessionOwner, route: Route, exchanger: Exchanger): Session;
  /** Remembers that the address leads to this host. */
  learnOwn(address: string): void;
  /** Returns a random number, at least 0, less than 1. */
  random(): number;
  /** Settles all envelopes of a task with one result, for one reason. */
  fail(task: Task, result: "tempfail" | "permfail", reason: Reason, domain: string): Promise<void>;
  /** Gives a task with REQUIRETLS to the relay of such tasks; `exchanger` was tried. */
  elsewhere(task: Task, target: Target, exchanger: Exchanger, reason: string): void;
  /** Takes a task for which no route from the local address of the target is left: by another address, to another smarthost, or not now. */
  detour(task: Task, target: Target, reason: Reason): Promise<void>;
  /** Takes a task that an exchanger has not decided about, for the relay of those that it is not asked about. */
  moveOn(task: Task, target: Target): void;
  /** Takes a task whose smarthost cannot be used at all: to another, or not now. */
  nextHost(task: Task, target: Target, reason: Reason): Promise<void>;
  /** The relay has neither tasks nor sessions, and may be forgotten. */
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
