/**
 * How much room there is on the disk of the spool, so that mail is refused before it is sent and not after. Sent to the smtp isolates when it
 * matters. The database is the last judge: what it cannot store is refused with the same code.
 */

import { statfsSync } from "node:fs";
import type { SpoolReserve } from "../../config/mod.ts";

/** More room than this is as good as any. */
const PLENTY_BYTES = 1024 ** 3;
/** A change below this is not sent. */
const STEP_BYTES = 1024 ** 2;
/** A full disk is full until there is room for this: mail that comes and goes at its edge would open and close the door all the time. */
const AGAIN_BYTES = 4 * STEP_BYTES;
/** A body is in the log before it is in the database; the log has this size at most before it is emptied. */
const LOG_BYTES = 64 * 1024 ** 2;
/** Inodes that are left free when no share is asked for. The queue itself needs a handful. */
const INODES = 1000;
/** After the database said that the disk is full, nothing is taken for so long. */
const FULL_MS = 2000;

/** What statfs(2) returns, in bytes and inodes. */
export interface Disk {
  readonly total: number;
  readonly free: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

/** Returns the state of the disk that holds `path`; null when it cannot be read. */
export function readDisk(path: string): Disk | null {
  try {
    const { bsize, blocks, bavail, files, ffree } = statfsSync(path);
    return { total: blocks * bsize, free: bavail * bsize, inodes: files, freeInodes: ffree };
  } catch {
    return null;
  }
}

/** Size of the largest message that there is room for: 0 when what is to be left free is not, Infinity when it is plenty. `unused` bytes of the database are free as well. */
export function roomFor(disk: Disk | null, unused: number, reserve: SpoolReserve): number {
  if (disk === null) return Infinity;
  const inodes = reserve.share === null
    ? Math.min(reserve.bytes === 0 ? 0 : INODES, disk.inodes / 20)
    : Math.min(disk.inodes * reserve.share, reserve.bytes === Infinity ? Infinity : INODES);
  if (disk.inodes > 0 && disk.freeInodes < inodes) return 0;
  const kept = reserve.share === null ? reserve.bytes : Math.min(disk.total * reserve.share, reserve.bytes);
  const room = disk.free + unused - kept;
  if (room <= 0) return 0;
  const largest = room > 2 * LOG_BYTES ? room - LOG_BYTES : Math.floor(room / 2);
  return largest > PLENTY_BYTES ? Infinity : largest;
}

/** While something is owed, what is unused in the database does not count either: making use of it takes room first. */
function roomWithout(disk: Disk | null, owed: number, reserve: SpoolReserve): number {
  return disk === null ? Infinity : roomFor({ ...disk, free: disk.free - 2 * owed }, 0, reserve);
}

export class Space {
  #reserve: SpoolReserve;
  readonly #disk: () => Disk | null;
  readonly #unused: () => number;
  #room = Infinity;
  #fullUntil = 0;
  /** Called when the room has changed so much that the smtp isolates should know. */
  onchange: (bytes: number) => void = () => {};

  readonly #owed: () => number;

  /** `unused`: bytes of the database that nothing is stored in. `owed`: bytes of the disk that are reserved for other uses. */
  constructor(
    reserve: SpoolReserve,
    disk: () => Disk | null,
    unused: () => number,
    owed: () => number = () => 0,
  ) {
    this.#owed = owed;
    this.#reserve = reserve;
    this.#disk = disk;
    this.#unused = unused;
  }

  /** So much is left free from now on. */
  configure(reserve: SpoolReserve): void {
    this.#reserve = reserve;
  }

  /** As it was measured last. */
  get room(): number {
    return this.#room;
  }

  /** The disk as it is now; null when it cannot be read. */
  get disk(): Disk | null {
    return this.#disk();
  }

  measure(now: number): void {
    if (now < this.#fullUntil) return;
    const disk = this.#disk(), owed = this.#owed();
    this.#set(owed === 0 ? roomFor(disk, this.#unused(), this.#reserve) : roomWithout(disk, owed, this.#reserve));
  }

  /** The database could not store something: whatever statfs says. */
  full(now: number): void {
    this.#fullUntil = now + FULL_MS;
    this.#set(0);
  }

  #set(room: number): void {
    const before = this.#room;
    if (room === before || (before === 0 && room < AGAIN_BYTES)) return;
    if (room > 0 && before > 0 && Math.abs(room - before) < STEP_BYTES) return;
    this.#room = room;
    this.onchange(room);
  }
}
