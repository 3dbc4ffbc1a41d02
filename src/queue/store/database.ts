/** Opens the spool's database: folder, file modes, settings and tables. What is done with the tables is in store.ts. */

import { DatabaseSync } from "node:sqlite";

/** Written into the file. An older one is brought up to this, a newer one is not touched. */
const VERSION = 2;

export const PAGE_BYTES = 16_384;
/** 64 MiB of log between checkpoints: pages that a message's life touches twice are written back once. */
export const CHECKPOINT_PAGES = 4096;

const TABLES = `
-- A message that was acknowledged. Its chunks are in place, its envelopes exist.
CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  bytes INTEGER NOT NULL,
  chunks INTEGER NOT NULL
) STRICT;
-- One row a deliverable: what never changes as JSON, beside it what changes and what start-up reads.
CREATE TABLE envelopes (
  message INTEGER NOT NULL,
  id INTEGER NOT NULL,
  agent TEXT NOT NULL,
  action TEXT NOT NULL,
  lane TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  last_try_at INTEGER NOT NULL DEFAULT 0,
  last_bounce_at INTEGER NOT NULL DEFAULT 0,
  error_line TEXT NOT NULL DEFAULT '',
  status TEXT NOT NULL DEFAULT '',
  suspended INTEGER NOT NULL DEFAULT 0,
  facts TEXT NOT NULL,
  -- The facts when they are encrypted: then 'facts' and 'lane' are empty. See records.ts.
  sealed BLOB,
  -- Checksum of what never changes; null in rows of version 1.
  sum INTEGER,
  PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
-- Bodies. The key is message · 2²⁰ + index, so that one message's chunks are neighbours.
CREATE TABLE chunks (
  key INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL,
  -- How the bytes were made, and their checksum; see records.ts.
  form INTEGER NOT NULL DEFAULT 0,
  sum INTEGER
) STRICT;
-- Orphans: messages whose chunks belong to nobody, still being received or to be erased. What stands here at start is erased.
CREATE TABLE loose (
  message INTEGER PRIMARY KEY
) STRICT;
`;

/** Since version 2. */
const MORE_TABLES = `
-- Numbers of the keys that something in here may be encrypted with.
CREATE TABLE keys (
  id INTEGER PRIMARY KEY
) STRICT;
-- What cannot be read and is set aside: an envelope, or with id 0 a whole message. Nothing of it is deleted or tried.
CREATE TABLE damaged (
  message INTEGER NOT NULL,
  id INTEGER NOT NULL,
  reason TEXT NOT NULL,
  found_at INTEGER NOT NULL,
  PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
`;

/** What brings a database of version n to n + 1. Adding a column writes no row. */
const STEPS: Readonly<Record<number, string>> = {
  1: `
ALTER TABLE envelopes ADD COLUMN sealed BLOB;
ALTER TABLE envelopes ADD COLUMN sum INTEGER;
ALTER TABLE chunks ADD COLUMN form INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chunks ADD COLUMN sum INTEGER;
${MORE_TABLES}`,
};

/** Opens `queue.db` in `spool`, and makes both when they are missing. Throws when another daemon holds it. */
export function openDatabase(spool: string): DatabaseSync {
  Deno.mkdirSync(spool, { recursive: true, mode: 0o711 });
  return openFile(`${spool}/queue.db`);
}

/** As openDatabase, for a file in a folder that exists. */
export function openFile(path: string): DatabaseSync {
  Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
  Deno.chmodSync(path, 0o600);
  const database = new DatabaseSync(path);
  try {
    return prepare(database, path);
  } catch (error) {
    database.close();
    if (!(error instanceof Error) || error.message !== "database is locked") throw error;
    throw new Error(
      `${path} is in the hands of another program: is there another smtpd with this spool? Stop it, or name another spool with SMTPD_SPOOL`,
    );
  }
}

function prepare(database: DatabaseSync, path: string): DatabaseSync {
  // An isolate that was replaced may need a moment to let go of the file.
  database.exec("PRAGMA busy_timeout = 10000");
  database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
  // VACUUM would attach a second database, which the runtime refuses an isolate; free pages can be given back without it.
  database.exec("PRAGMA auto_vacuum = INCREMENTAL");
  // One daemon at a time, and no shared-memory file.
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA cache_size = -8192");
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.exec("PRAGMA journal_size_limit = 134217728");
  database.exec("PRAGMA temp_store = MEMORY");
  database.exec("PRAGMA cell_size_check = ON");
  prepareTables(database, path);
  return database;
}

function prepareTables(database: DatabaseSync, path: string): void {
  const version = Number((database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);
  if (version === VERSION) return;
  if (version > VERSION) {
    throw new Error(
      `The queue "${path}" has format ${version}, this program knows formats up to ${VERSION}: use the newer program`,
    );
  }
  let steps = "";
  if (version === 0) steps = TABLES + MORE_TABLES;
  else for (let at = version; at < VERSION; at++) steps += STEPS[at];
  database.exec(`BEGIN IMMEDIATE; ${steps} PRAGMA user_version = ${VERSION}; COMMIT`);
}
