/** What stands around the processes that run, for `smtpctl show status`: what the kernel says now, whatever was meant; and what is missing. */

import { type KernelWalls, landlockStands, readWalls, type WallsRead } from "../kernel/mod.ts";
import type { Grants, ProcessWalls, Role } from "../protocol/mod.ts";
import { processOf } from "../protocol/processes.ts";
import { describeGrant } from "./permissions.ts";

/** A process besides this one. */
export interface OtherProcess {
  readonly name: string;
  readonly walls: KernelWalls;
  readonly host: {
    /** Null: it does not run now. */
    readonly pid: number | null;
    /** Whether it says that Landlock stands around it; null when it does not say. */
    landlock(): Promise<boolean | null>;
  };
}

/** An isolate that runs. */
interface RunningIsolate {
  readonly role: Role;
  readonly grants: Grants;
}

export interface RunningSystem {
  /** This process: its name, and whether a filter of system calls, and Landlock, were to be put up in it. */
  readonly own: { readonly name: string; readonly filtered: boolean; readonly landlock?: boolean };
  readonly others: readonly OtherProcess[];
  isolates(): readonly RunningIsolate[];
  /** In ms, ever growing. */
  now(): number;
  /** Stands for the kernel. For tests. */
  readonly read?: (pid: number) => WallsRead;
}

/** It is looked once in this time at most, in milliseconds: whoever asks may be compromised, and looking takes main some milliseconds. */
const LOOK_MS = 500;

/** Looks when it is asked. */
export class RunningWalls {
  readonly #system: RunningSystem;
  readonly #read: (pid: number) => WallsRead;
  /** Filters of system calls around this process that are not its own: those of a container, or of the service manager. */
  readonly #filtersBefore: number;
  #last: { readonly at: number; readonly walls: Promise<ProcessWalls[]> } | null = null;

  /** To be made before this process puts up a filter of its own. */
  constructor(system: RunningSystem) {
    this.#system = system;
    this.#read = system.read ?? readWalls;
    // It is not read where it cannot change: reading takes some milliseconds of the start.
    this.#filtersBefore = system.own.filtered ? this.#filtersHere() : 0;
  }

  #filtersHere(): number {
    return this.#readOr(Deno.pid)?.seccompFilters ?? 0;
  }

  /** Returns what stands around each process, this one first. */
  look(): Promise<ProcessWalls[]> {
    const now = this.#system.now();
    if (this.#last === null || now - this.#last.at >= LOOK_MS) this.#last = { at: now, walls: this.#lookNow() };
    return this.#last.walls;
  }

  async #lookNow(): Promise<ProcessWalls[]> {
    const others = this.#system.others.map((other) => this.#lookAt(other));
    return [this.#lookAtOwn(), ...await Promise.all(others)];
  }

  #lookAtOwn(): ProcessWalls {
    const { name, filtered, landlock = false } = this.#system.own;
    const here = this.#system.others.length === 0 ? () => true : (role: Role) => processOf(role) === null;
    const isolates = this.#isolates(here);
    const read = this.#readOr(Deno.pid);
    if (read === null) return { process: name, pid: Deno.pid, stands: [], says: [], missing: [UNKNOWN], isolates };
    const lacksFilter = filtered && read.seccompFilters <= this.#filtersBefore;
    const walled = landlock && landlockStands();
    const missing = [...lacksFilter ? [FILTER] : [], ...landlock && !walled ? [FILES] : []];
    const stands = [...wordsFor(read, null), ...walled ? [FILES] : []];
    return { process: name, pid: Deno.pid, stands, says: [], missing, isolates };
  }

  async #lookAt({ name, walls, host }: OtherProcess): Promise<ProcessWalls> {
    const landlock = await host.landlock();
    const { pid } = host;
    const isolates = this.#isolates((role) => processOf(role) === name);
    const read = pid === null ? null : this.#readOr(pid);
    if (read === null) return { process: name, pid: null, stands: [], says: [], missing: [], isolates };
    return {
      process: name,
      pid,
      stands: wordsFor(read, walls.user),
      says: landlock === true ? [LANDLOCK] : [],
      missing: [
        ...missingOf(read, { walls, filtersAround: this.#filtersHere() }),
        ...landlock === true ? [] : [landlock === false ? LANDLOCK : `${LANDLOCK}, of which it says nothing`],
      ],
      isolates,
    };
  }

  /** Null when there is no such process any more, or the system does not let this process look. */
  #readOr(pid: number): WallsRead | null {
    try {
      return this.#read(pid);
    } catch {
      return null;
    }
  }

  /** The isolates of some roles, those that may do the same in one line. */
  #isolates(has: (role: Role) => boolean): string[] {
    const isolates = this.#system.isolates().filter(({ role }) => has(role));
    const groups = Map.groupBy(isolates, ({ role, grants }) => `${role}: ${describeGrant(grants)}`);
    return [...groups].map(([line, { length }]) => length === 1 ? line : line.replace(":", ` (${length}):`));
  }
}

const LANDLOCK = "files and TCP as Landlock allows",
  FILES = "files as Landlock allows",
  FILTER = "a filter of system calls";
const NETWORK = "a network of its own", IPC = "IPC of its own", PROC = "a /proc of its own";
const PRIVILEGES = "no new privileges", UNKNOWN = "what the kernel says, which cannot be read";

/** What the kernel says. `user`: the one that it should be, for its name. */
function wordsFor(read: WallsRead, user: KernelWalls["user"]): string[] {
  const name = read.uid === 0 ? "root " : user?.uid === read.uid ? `${user.name} ` : "";
  const groups = read.groups.filter((group) => group !== read.gid);
  return [
    `user ${name}(uid ${read.uid}, gid ${read.gid}${groups.length === 0 ? "" : `, groups ${groups.join(" ")}`})`,
    ...read.ownNetwork === true ? [NETWORK] : [],
    ...read.ownIpc === true ? [IPC] : [],
    ...read.ownProc === true ? [PROC] : [],
    ...read.noNewPrivileges ? [PRIVILEGES] : [],
    ...read.seccomp ? [FILTER] : [],
  ];
}

/** `filtersAround`: those that the parent has as well. */
function missingOf(
  read: WallsRead,
  { walls, filtersAround }: { readonly walls: KernelWalls; readonly filtersAround: number },
): string[] {
  const { user, ownNetwork } = walls;
  // Null: it cannot be read.
  const wanted: (readonly [string, boolean | null])[] = [
    [`the user ${user?.name}`, user === null || (read.uid === user.uid && read.gid === user.gid)],
    ["no other groups", user === null || read.groups.length === 0],
    [NETWORK, !ownNetwork || read.ownNetwork],
    [IPC, !ownNetwork || read.ownIpc],
    [PROC, read.ownProc],
    [PRIVILEGES, read.noNewPrivileges],
    [FILTER, read.seccompFilters > filtersAround],
  ];
  return wanted.filter(([, stands]) => stands !== true)
    .map(([wall, stands]) => stands === null ? `${wall}, which cannot be read` : wall);
}
