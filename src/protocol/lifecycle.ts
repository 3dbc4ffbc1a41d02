/**
 * What the supervisor and every isolate say to each other, over what carries the door to main as well: start, doors, pings, stop. Types, limits
 * and checks only.
 */

import type { Trace } from "../events/mod.ts";
import { type MessageTable, nullOr, text, whole } from "./check.ts";
import type { DoorName } from "./doors.ts";
import type { Role } from "./roles.ts";
import type { Settings } from "./settings.ts";
import { longText } from "./shapes.ts";

/** Which isolate stands at the other side of a door. */
export interface PeerLife {
  /** Distinguishes several isolates of a role. */
  readonly peer: number;
  /** Distinguishes the isolate from those that were in its place before: it only grows. */
  readonly life: number;
}

/** What carries a door: a port within a process; between two a pipe to read from, as its descriptor, and one to write into. */
export type DoorOpening = { readonly port: MessagePort } | {
  readonly descriptor: number;
  readonly writeDescriptor: number;
};

export type ToIsolate<S = unknown> =
  | {
    readonly type: "start";
    readonly role: Role;
    readonly index: number;
    /** How often an isolate has stood in this place; 1 when it is left out. */
    readonly life?: number;
    readonly settings: S;
    /** Number of the configuration that the settings are of; 0 when it is left out. */
    readonly generation?: number;
    readonly verbose: boolean;
    readonly traces: readonly Trace[];
  }
  /** The other side of a door, at start and again whenever that side was replaced. */
  | PeerLife & { readonly type: "door"; readonly name: DoorName } & DoorOpening
  /** The other side has ended; another will follow. */
  | { readonly type: "door-closed"; readonly name: DoorName; readonly peer: number }
  | { readonly type: "ping"; readonly count: number }
  | { readonly type: "verbosity"; readonly verbose: boolean; readonly traces: readonly Trace[] }
  /** In the place of those in the settings, for what begins from now on. */
  | { readonly type: "settings"; readonly changes: Partial<Settings[Role]> }
  /**
   * All settings of a configuration that was read while the daemon runs, in the place of those that it has: for what begins from now on, and for sessions
   * that main hands over with this generation. Answered with `reloaded`.
   */
  | { readonly type: "reload"; readonly call: number; readonly generation: number; readonly settings: S }
  /** Sessions of this generation have had their time: they end when their transaction is over, or a few seconds later. */
  | { readonly type: "retire"; readonly generation: number }
  /** No session of this generation is left: what was kept for it can go. */
  | { readonly type: "forget"; readonly generation: number }
  /** Finish what can be finished and say `stopped`. `replaced`: the daemon goes on, and another isolate takes this one's place. */
  | { readonly type: "stop"; readonly replaced?: true };

export type ToSupervisor =
  | { readonly type: "ready" }
  /** It cannot start, for a reason of the system and not of the program: main replaces it as if it had ended. */
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "pong"; readonly count: number }
  | { readonly type: "stopped" }
  /** The settings of `reload` are in use; `fault`: why they cannot be, and the isolate goes on with those that it had. */
  | { readonly type: "reloaded"; readonly call: number; readonly fault: string | null }
  /** What came from the other side of a door is not what may come from there; `peer` and `life` identify it, as in `door`. */
  | PeerLife & { readonly type: "refused"; readonly door: string; readonly fault: string };

const DOOR_NAME_CHARS = 64;

/** What isolates say to the supervisor. */
export const TO_SUPERVISOR: MessageTable<ToSupervisor> = {
  ready: {},
  failed: { reason: longText },
  pong: { count: whole() },
  stopped: {},
  reloaded: { call: whole(), fault: nullOr(longText) },
  refused: { door: text(DOOR_NAME_CHARS), peer: whole(), life: whole(), fault: text() },
};
