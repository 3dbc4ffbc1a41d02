/** What main decides of the isolates: which there are, what they may do, and what it is called for. Types only. */

import type { Trace } from "../events/mod.ts";
import type { GivenSockets, HostedWorker, IsolateHost } from "../process/mod.ts";
import type { Grants, PlannedCount, ProcessName, Role, Settings } from "../protocol/mod.ts";

/** What one side of a door has, as descriptors. */
export interface DoorPipes {
  readonly read: number;
  readonly write: number;
}

/** The processes that isolates run in besides this one. */
export interface Processes {
  readonly hosts: Readonly<Record<ProcessName, IsolateHost>>;
  /** Makes two pipes, and returns what each of two sides gets of them. Throws when there are no descriptors left. */
  pipePair(): readonly [DoorPipes, DoorPipes];
}

export interface SystemPlan {
  readonly settings: Settings;
  readonly grants: Readonly<Record<Role, Grants>>;
  /** How many isolates there are of the roles whose number depends on the machine or on the config. */
  readonly counts: Readonly<Record<PlannedCount, number>>;
  /** Entry file of a role. */
  readonly entry: (role: Role) => URL;
  /** Keeps the connections that isolates of this process are given; absent where they are given none. */
  readonly sockets?: GivenSockets<HostedWorker>;
  /** Throws when this process has too few descriptors left to start an isolate. */
  readonly needDescriptors?: () => void;
  /** Absent: every isolate runs in this process. */
  readonly processes?: Processes;
  /** Roles without which the daemon ends. */
  readonly vital?: readonly Role[];
  verbose: boolean;
  traces: readonly Trace[];
  /** How often it is looked whether they answer, in milliseconds; once per second unless a test sets less. */
  readonly pingMs?: number;
}

export interface SystemHooks {
  /** A line for the log about what an isolate said that it may not say. */
  onrefused?(text: string): void;
  /** An isolate ended by itself or did not answer; it is started again after `delayMs`. */
  ondeath(role: Role, index: number, reason: string, delayMs: number): void;
}

/** What an isolate must be able to reach with other settings; where it may not, it is replaced by one that may, and `reason` is logged. */
export interface Reach {
  readonly hosts: readonly string[];
  readonly reason: string;
}
