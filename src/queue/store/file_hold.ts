/** Keeps SQLite from writing the database file, so that another program can copy it: what is committed stays in the log meanwhile. Bounds nothing. */

import type { DatabaseSync } from "node:sqlite";
import { CHECKPOINT_PAGES } from "./database.ts";

export class FileHold {
  readonly #database: DatabaseSync;
  #held = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Moves what is in the log into the database file, and writes that no more until `release`: all that was committed until now stands in it. False when it fails. */
  hold(): boolean {
    const row = this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { readonly busy: number };
    if (row.busy !== 0) return false;
    this.#database.exec("PRAGMA wal_autocheckpoint = 0");
    return this.#held = true;
  }

  /** The database file is written again. What was copied of it until now is whole, what is copied from now on is not. */
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  }
}
