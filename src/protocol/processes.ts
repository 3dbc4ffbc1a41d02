/**
 * The processes that hold isolates, and what the parent and the program that starts workers in one of them (src/host) say to each
 * other over their link. The one table of which roles live where; a role that stands in none lives in the parent. Plain data only.
 */

import { type Check, flag, type MessageTable, optional, type Replies, text, whole } from "./check.ts";
import type { DoorName } from "./doors.ts";
import { type Role, ROLES } from "./roles.ts";
import { longText } from "./shapes.ts";

/** Which of the two users of the system a process runs as: `smtpd`, or `smtpq`, to whom the spool belongs. */
export type ProcessUser = "smtpd" | "smtpq";

export interface ProcessTraits {
  readonly user: ProcessUser;
  readonly roles: readonly Role[];
  /** `own`: a network namespace with nothing in it; `connect`: this machine's, to connect only. */
  readonly network: "own" | "connect";
}

/** In the order in which they are shown. */
export const PROCESSES = {
  /** Talks to clients, with the connections that are handed to it. */
  front: { user: "smtpd", roles: ["smtp", "login", "control"], network: "own" },
  /** Talks to other hosts. */
  out: { user: "smtpd", roles: ["relay", "lookup", "acme"], network: "connect" },
  /** Keeps the mail, the keys that sign it, and the history. */
  vault: { user: "smtpq", roles: ["queue", "scheduler", "signer", "history"], network: "own" },
} as const satisfies Readonly<Record<string, ProcessTraits>>;

export type ProcessName = keyof typeof PROCESSES;
export const PROCESS_NAMES = Object.keys(PROCESSES) as readonly ProcessName[];

/** Returns the process in which isolates of the role live; null for the parent. */
export function processOf(role: Role): ProcessName | null {
  return PROCESS_NAMES.find((name) => (PROCESSES[name].roles as readonly Role[]).includes(role)) ?? null;
}

/** Returns the roles that live in the parent. */
export function parentRoles(): Role[] {
  return (Object.keys(ROLES) as Role[]).filter((role) => processOf(role) === null);
}

/** Descriptors that a process starts with, besides the standard ones: its link to read from and to write into, and between these the socket on which descriptors reach it. */
export const LINK_DESCRIPTOR = 3, HANDED_DESCRIPTOR = 4, LINK_WRITE_DESCRIPTOR = 5;
/** Descriptors in one packet of that socket at most. */
export const MAX_HANDED_DESCRIPTORS = 64;

/** Fields of a message to an isolate that hold a descriptor each. */
export const DESCRIPTOR_FIELDS = ["descriptor", "writeDescriptor"] as const;

/** What an isolate may do. Absent means refused; see the table in src/daemon/permissions.ts. */
export interface Grants {
  readonly read?: readonly string[] | true;
  readonly write?: readonly string[] | true;
  readonly net?: readonly string[] | true;
  readonly run?: readonly string[] | true;
  readonly ffi?: readonly string[] | true;
  /** Facts about the machine, by the names that Deno gives them. */
  readonly sys?: readonly string[];
}

/** One side of a door within a process: a worker, and what the other side is told of it. */
export interface DoorEnd {
  readonly worker: number;
  readonly index: number;
  readonly life: number;
}

/** What the parent says. A worker has the number that the parent gave it at its start. */
export type ToHost =
  /** First of all. The host installs them and gives up what it needed for that. `libraries`: paths that its workers may be granted. */
  | { readonly type: "walls"; readonly internet: boolean; readonly libraries: readonly string[] }
  | {
    readonly type: "start";
    readonly worker: number;
    readonly role: Role;
    readonly name: string;
    readonly grants: Grants;
  }
  /**
   * For the worker: a single message, or a list of posts of its door to main. Where these have one of DESCRIPTOR_FIELDS, it stands for the next
   * of the descriptors that came under the number `handed`.
   */
  | { readonly type: "say"; readonly worker: number; readonly message: unknown; readonly handed?: number }
  /** Two workers of this process get the two sides of a door. */
  | { readonly type: "join"; readonly door: DoorName; readonly asker: DoorEnd; readonly answerer: DoorEnd }
  | { readonly type: "end"; readonly worker: number }
  | { readonly type: "ping"; readonly count: number }
  /** Does Landlock stand around the host? It cannot be seen from outside. */
  | { readonly type: "landlock"; readonly call: number };

/** What the host says. */
export type FromHost =
  /** The walls stand, workers can be started. `missing`: why those do not stand that a process can only give itself. */
  | { readonly type: "up"; readonly missing?: string }
  /** A worker said this, unchecked. */
  | { readonly type: "said"; readonly worker: number; readonly message?: unknown }
  /** Something came from a worker that none sends. */
  | { readonly type: "fault"; readonly worker: number; readonly fault: string }
  /** An error that nobody caught has ended a worker. */
  | { readonly type: "error"; readonly worker: number; readonly reason: string }
  | { readonly type: "pong"; readonly count: number }
  | { readonly type: "landlock"; readonly call: number; readonly stands: boolean };

const anything: Check<unknown> = () => null;

export const FROM_HOST: MessageTable<FromHost> = {
  up: { missing: optional(text()) },
  said: { worker: whole(), message: optional(anything) as never },
  fault: { worker: whole(), fault: text() },
  error: { worker: whole(), reason: longText },
  pong: { count: whole() },
  landlock: { call: whole(), stands: flag },
};
export const HOST_REPLIES: Replies<ToHost, FromHost> = { landlock: ["landlock"] };
