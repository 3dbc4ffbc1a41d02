/**
 * A consistent copy of the database by another program while mail flows (`smtpctl backup`): for that time the database file is not written, and what is
 * committed stays in SQLite's log. The file is then as it was when the copy began. Bounded: the log must not fill the disk, and who copies may be gone.
 */

import type { Clock } from "../clock.ts";
import { databaseFault } from "./store/disk_errors.ts";
import type { FileHold } from "./store/file_hold.ts";

/** Who copies says so again in this time, in ms. */
export const BACKUP_LEASE_MS = 30_000;
/** The log may become so large meanwhile, in octets. */
const MAX_LOG_OCTETS = 1024 ** 3;

/** What became of a step: the number of the hold and the octets of the file, or why not. */
export interface BackupStep {
  readonly hold: number;
  readonly bytes: number;
  readonly error: string | null;
}

export class BackupHold {
  readonly #file: FileHold;
  readonly #spool: string;
  readonly #clock: Clock;
  /** Number of the hold, the last one when there is none; 0 for none so far. Those of other lives of the isolate are others. */
  #hold = 0;
  #renewedAt = 0;
  /** Why the last hold ended before the copy did. */
  #broken = "the queue was started again meanwhile";

  constructor(file: FileHold, { spool, clock }: { readonly spool: string; readonly clock: Clock }) {
    this.#file = file;
    this.#spool = spool;
    this.#clock = clock;
  }

  /** Begins a hold. */
  begin(): BackupStep {
    this.look();
    if (this.#file.held) return refusal("another backup is being taken: try again when it is done");
    try {
      if (!this.#file.hold()) return refusal("the log of the database cannot be emptied now: try again");
    } catch (error) {
      if (databaseFault(error) === null) throw error;
      return refusal(`the log of the database cannot be emptied: ${(error as Error).message}`);
    }
    this.#hold = Math.max(this.#hold + 1, this.#clock.now());
    this.#renewedAt = this.#clock.steady();
    this.#broken = "room on the disk got short, for which the log of the database was emptied";
    return { hold: this.#hold, bytes: Deno.statSync(`${this.#spool}/queue.db`).size, error: null };
  }

  /** Goes on with the hold of that number. */
  keep(hold: number): BackupStep {
    this.look();
    if (hold !== this.#hold || !this.#file.held) return refusal(`the copy is not consistent: ${this.#broken}`);
    this.#renewedAt = this.#clock.steady();
    return { hold, bytes: 0, error: null };
  }

  /** Ends it. Without an error the file did not change until now. */
  end(hold: number): BackupStep {
    const step = this.keep(hold);
    if (step.error === null) this.#file.release();
    return step;
  }

  /** Ends a hold that takes too long. To be called now and then. */
  look(): void {
    if (!this.#file.held) return;
    if (this.#clock.steady() - this.#renewedAt > BACKUP_LEASE_MS) {
      this.#end(`nothing was heard of it for ${BACKUP_LEASE_MS / 1000} seconds`);
    } else if (this.#logOctets() > MAX_LOG_OCTETS) {
      this.#end(`so much mail came meanwhile that the log of the database reached ${MAX_LOG_OCTETS >> 20} MiB`);
    }
  }

  #end(why: string): void {
    this.#broken = why;
    this.#file.release();
  }

  #logOctets(): number {
    try {
      return Deno.statSync(`${this.#spool}/queue.db-wal`).size;
    } catch {
      return 0;
    }
  }
}

function refusal(error: string): BackupStep {
  return { hold: 0, bytes: 0, error };
}
