/**
 * The roles of isolates and what the supervisor has to know of each: how many there are, how long they may be silent, when they stop. The one
 * table from which the types and the lists of roles derive. A new isolate is a row of ROLES, with its doors in doors.ts and its permissions in
 * src/daemon/permissions.ts: CONTRIBUTING.md, "An isolate". Plain data only.
 */

/** How many isolates a role has at start: one, none before it is asked for, or what the plan of the system says under that word. */
export type RoleCount = "one" | "on-demand" | PlannedCount;
/** `per-core`: smtp; `local-delivery`, `programs`, `logins`, `signing`, `acme`, `history`: 1 where the config has such a thing, else 0. */
export type PlannedCount = "per-core" | "local-delivery" | "programs" | "logins" | "signing" | "acme" | "history";

/** What the supervisor has to know of a role. */
export interface RoleTraits {
  readonly count: RoleCount;
  /** Stopping goes in this order, those of one number together: those that take work first, the queue late, the log last. */
  readonly stopOrder: number;
  /** So long it may take to finish what it has begun, in milliseconds, where the usual time is too short. */
  readonly stopMs?: number;
  /** Looks at it, one per second, that find its last ping unanswered, after which it is replaced: `SILENT_LOOKS` unless it works in short turns whatever it is given. */
  readonly silentLooks?: number;
  /** It talks to strangers, or runs what users and the config name: its word against another isolate is worth less. */
  readonly exposed?: true;
  /** It touches users' files and stands still when one of them does: it is not pinged, it is ended without being asked, and there may be several. */
  readonly files?: true;
  /** It may take longer than others to become ready, and does not lose what it has done as long as it answers. */
  readonly slowStart?: true;
}

/** So long a call to a role that works in short turns may have to wait. */
const SHORT_SILENT_LOOKS = 15;
/** Longer than any work that an isolate does in one turn. Looks are counted, so that a machine that slept ends nothing. */
export const SILENT_LOOKS = 60;

/** Longer than relay itself gives its transactions: a host that has taken a message but whose answer is not awaited gets it once more. */
const RELAY_STOP_MS = 8_000;

/** In the order in which they are started. */
export const ROLES = {
  // It writes the log, and stands still while a reader of that does, such as a terminal that is paused.
  control: { count: "one", stopOrder: 6 },
  // Control gives it the last events when it stops.
  history: { count: "history", stopOrder: 7 },
  // It reads large tables in turns of milliseconds. Those that it reads in one go, of passwd(5) and of makemap, take a few seconds with a million lines.
  lookup: { count: "one", stopOrder: 5, silentLooks: SHORT_SILENT_LOOKS },
  // It may have a large database to repair; later it stands still as long as the disk does, for which another isolate is no remedy.
  queue: { count: "one", stopOrder: 4, slowStart: true },
  scheduler: { count: "one", stopOrder: 2, silentLooks: SHORT_SILENT_LOOKS },
  // With those that take mail: it begins nothing while they finish.
  relay: { count: "one", stopOrder: 1, stopMs: RELAY_STOP_MS, silentLooks: SHORT_SILENT_LOOKS, exposed: true },
  delivery: { count: "one", stopOrder: 2, exposed: true },
  privileged: { count: "local-delivery", stopOrder: 2, exposed: true },
  mailbox: { count: "local-delivery", stopOrder: 3, files: true },
  // Many a machine has no files that users name and no `.forward`. These need nothing to start that mailbox does not need, so that a fault
  // is found at start all the same.
  file: { count: "on-demand", stopOrder: 3, files: true },
  forward: { count: "on-demand", stopOrder: 3, files: true },
  filter: { count: "programs", stopOrder: 6, exposed: true },
  // A password of an expensive hash is one turn: what takes longer than this is of no use to the client either.
  login: { count: "logins", stopOrder: 6, silentLooks: SHORT_SILENT_LOOKS },
  signer: { count: "signing", stopOrder: 5 },
  // It speaks to authorities, and with whoever connects to the ports of their challenges. A key of RSA is made off its thread.
  acme: { count: "acme", stopOrder: 1, silentLooks: SHORT_SILENT_LOOKS, exposed: true },
  smtp: { count: "per-core", stopOrder: 1, silentLooks: SHORT_SILENT_LOOKS, exposed: true },
} as const satisfies Readonly<Record<string, RoleTraits>>;

export type Role = keyof typeof ROLES;
/** In the order in which they are started. */
export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

/** The roles that touch users' files: several isolates each, one user's tasks at a time in each. */
export type FileRole = { [R in Role]: typeof ROLES[R] extends { readonly files: true } ? R : never }[Role];

/** Isolates of one file role that there may be: for load, and beside them those that stand still in a file call. */
export const MAX_FILE_ISOLATES = 8, MAX_STUCK_ISOLATES = 16;

/** Returns what the supervisor has to know of a role. */
export function traitsOf(role: Role): RoleTraits {
  return ROLES[role];
}

/** Returns whether a role touches users' files. */
export function isFileRole(role: Role): role is FileRole {
  return traitsOf(role).files === true;
}

/** The name of an isolate in the log: that of its role, with its index where the config makes several. */
export function isolateName(role: Role, index: number): string {
  return traitsOf(role).count === "per-core" ? `${role}-${index}` : role;
}

/** As `isolateName`, with the index of those that come on demand as well: for traces. */
export function numberedName(role: Role, index: number): string {
  return isFileRole(role) ? `${role}-${index}` : isolateName(role, index);
}
