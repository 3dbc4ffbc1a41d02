/**
 * Room that is kept for what makes room: a file in the spool, of which nothing is ever read. On a full disk the database can store neither a
 * removal nor an outcome, since both are written before anything is given back; then the file goes, and comes again when there is room.
 */

import type { Disk } from "./space.ts";

const NAME = "ballast";
/** Octets of the file: enough for the log of many removals, and little of a small disk. */
const BYTES = 4 * 1024 ** 2;
/** At most this part of the disk. */
const PART = 16;
/** Octets that are filled in one go, which is what the system draws at most. */
const PIECE = 65_536;

export class Ballast {
  readonly #path: string;
  /** Octets that the file has, 0 when there is none. */
  #bytes = 0;
  #wanted = BYTES;

  /** `spool` is the folder of the database. What an earlier life left there is used again. */
  constructor(spool: string) {
    this.#path = `${spool}/${NAME}`;
    try {
      this.#bytes = Deno.statSync(this.#path).size;
    } catch {
      // There is none yet.
    }
  }

  /** Octets that are missing: nothing else may use them. */
  get missing(): number {
    return Math.max(0, this.#wanted - this.#bytes);
  }

  /** Gives the reserved room back to the disk. False when there is none. */
  release(): boolean {
    if (this.#bytes === 0) return false;
    this.#bytes = 0;
    try {
      Deno.removeSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }

  /** Makes the file when it is missing and there is room for it twice. `disk` null: it cannot be determined, and nothing is made. */
  restore(disk: Disk | null): void {
    if (disk === null) return;
    this.#wanted = Math.min(BYTES, Math.floor(disk.total / PART / PIECE) * PIECE);
    if (this.missing === 0 || disk.free < 2 * this.#wanted) return;
    try {
      this.#write();
      this.#bytes = this.#wanted;
    } catch {
      // It got full meanwhile: what was written would be missed by others.
      this.#bytes = 1;
      this.release();
    }
  }

  /** Octets that no file system can store as fewer. */
  #write(): void {
    using file = Deno.openSync(this.#path, { write: true, create: true, truncate: true, mode: 0o600 });
    const piece = new Uint8Array(PIECE);
    for (let written = 0; written < this.#wanted; written += PIECE) {
      crypto.getRandomValues(piece);
      for (let at = 0; at < PIECE;) at += file.writeSync(piece.subarray(at));
    }
  }
}
