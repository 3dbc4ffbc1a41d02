/**
 * Makes a sound database of a damaged one: what can be read is copied into a new file, what is missing then is noted as damaged, and the old
 * file is kept beside it. Nothing is deleted. Runs before the queue opens its doors.
 */

import { Turn } from "../../clock.ts";
import { DatabaseSync } from "node:sqlite";
import { openFile } from "../store/database.ts";
import { type Place, Reader, TABLES } from "./salvage.ts";
import { isTorn } from "./torn_log.ts";
import { databaseFault } from "../store/disk_errors.ts";

/** Written when a running queue finds that its database is damaged: the next start repairs it. */
const MARK = "queue.db.suspect";
const DAMAGED = "queue.db.damaged-";
/** A complete copy that is to take the place of the database; behind it the number of the damaged one. */
const READY = "queue.db.repaired-";
const TORN_LOG = "queue.db-wal.damaged-";
/** So many damaged files are kept before a person has to look: a disk that fails again and again must not fill up with them. */
const MAX_KEPT_FILES = 8;
/** SQLITE_CONSTRAINT. */
const CONSTRAINT = 19;
/** Time that copying takes at once: pings are to be answered. */
const TURN_MS = 100;

export interface Repaired {
  /** Path of the file that was damaged. */
  readonly kept: string;
  readonly rows: Readonly<Record<string, number>>;
  /** Gaps in the tables, how many of each. */
  readonly gaps: Readonly<Record<string, number>>;
  /** Messages and envelopes that were noted as damaged. */
  readonly damaged: number;
}

/** Returns true when an earlier run of the queue found the database in `spool` damaged: it is to be repaired. */
export function isSuspect(spool: string): boolean {
  try {
    Deno.statSync(`${spool}/${MARK}`);
    return true;
  } catch {
    return false;
  }
}

/** Never throws: the disk may be in no state to take it. */
export function markSuspect(spool: string): void {
  try {
    Deno.writeTextFileSync(`${spool}/${MARK}`, "The database is repaired at the next start of the queue.\n");
  } catch {
    // The next start finds the damage as this one did.
  }
}

/** Keeps a copy of a log that is torn in its middle, before SQLite cuts it. Its path; null when all is well. */
export function keepTornLog(spool: string, now: number): string | null {
  const log = `${spool}/queue.db-wal`;
  if (!isTorn(log)) return null;
  const kept = [...Deno.readDirSync(spool)].filter(({ name }) => name.startsWith(TORN_LOG));
  const last = kept[kept.length - 1];
  // More of them would add no information, and fill the disk.
  if (last !== undefined && kept.length >= MAX_KEPT_FILES) return `${spool}/${last.name}`;
  const copy = `${spool}/${TORN_LOG}${now}`;
  try {
    Deno.copyFileSync(log, copy);
    sync(copy);
  } catch (error) {
    // Half of it would count as one that is kept.
    removeFiles(copy);
    throw error;
  }
  return copy;
}

/** `now` in ms since the epoch. `oncopied` is told now and then how many rows are copied. Throws when too many damaged files lie there, or there is no room for the copy. */
export async function repair(
  spool: string,
  now: number,
  oncopied: (rows: number) => void = () => {},
): Promise<Repaired> {
  const kept = namesIn(spool).filter((name) => name.startsWith(DAMAGED) && !/-(wal|shm)$/.test(name));
  if (kept.length >= MAX_KEPT_FILES) {
    const times = kept.length + 1;
    throw new Error(
      `The queue in "${spool}" is damaged for the ${times}th time: look at the disk, and move its ${DAMAGED}* away`,
    );
  }
  const copy = `${spool}/queue.db.repair`;
  removeFiles(copy);
  const target = openFile(copy);
  // Before it is whole it counts for nothing; then it is synced at once, not once every few rows.
  target.exec("PRAGMA synchronous = OFF");
  let result: Omit<Repaired, "kept">;
  try {
    const found = await copyTables(`${spool}/queue.db`, target, oncopied);
    if (found.gaps.chunks === 0 && found.gaps.loose === 0) restoreMessages(target);
    result = { ...found, damaged: noteDamage(target, now) };
  } catch (error) {
    target.close();
    removeFiles(copy);
    throw error;
  }
  // A log that was left behind would belong to a file that has another name then.
  target.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
  target.close();
  sync(copy);
  // From here on it is the copy that counts, whenever the process ends.
  Deno.renameSync(copy, `${spool}/${READY}${now}`);
  sync(spool);
  return { kept: finishRepair(spool)!, ...result };
}

/**
 * Puts the copy of a repair in the place of the damaged database, which is kept: also what was left of that when the process ended. Its path;
 * null when there is no such copy. To be called before anything looks at the database.
 */
export function finishRepair(spool: string): string | null {
  const ready = namesIn(spool).find((name) => name.startsWith(READY));
  if (ready === undefined) return null;
  const path = `${spool}/queue.db`, damaged = `${spool}/${DAMAGED}${ready.slice(READY.length)}`;
  removeFiles(`${spool}/${MARK}`);
  // The old log belongs to the old file, and must be gone before the new one stands there.
  for (const end of ["-wal", "-shm", ""]) rename(path + end, damaged + end);
  Deno.renameSync(`${spool}/${ready}`, path);
  sync(spool);
  return damaged;
}

function namesIn(spool: string): string[] {
  try {
    return [...Deno.readDirSync(spool)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Of a file or a folder. */
function sync(path: string): void {
  using file = Deno.openSync(path);
  file.syncSync();
}

async function copyTables(
  path: string,
  target: DatabaseSync,
  oncopied: (rows: number) => void,
): Promise<Omit<Repaired, "kept" | "damaged">> {
  const rows: Record<string, number> = {}, gaps: Record<string, number> = {};
  let source: DatabaseSync | null = null;
  try {
    source = new DatabaseSync(path);
    for (const table of TABLES) {
      rows[table.name] = 0;
      gaps[table.name] = 0;
      await copyTable(source, target, { table, rows, gaps, oncopied });
    }
  } catch (error) {
    // Not even the list of tables can be read: the old file is all there is. An error of the new one is another matter.
    if (databaseFault(error) !== "corrupt") throw error;
  } finally {
    try {
      source?.close();
    } catch {
      // Its log stays beside it.
    }
  }
  return { rows, gaps };
}

async function copyTable(
  source: DatabaseSync,
  target: DatabaseSync,
  { table, rows, gaps, oncopied }: {
    readonly table: Place;
    readonly rows: Record<string, number>;
    readonly gaps: Record<string, number>;
    readonly oncopied: (rows: number) => void;
  },
): Promise<void> {
  const reader = Reader.open(source, target, table);
  if (reader === null) return void gaps[table.name]!++;
  const insert = target.prepare(reader.insertSql);
  const turn = new Turn(TURN_MS);
  for (;;) {
    const found = reader.next();
    if (found === null) break;
    if (found === "gap") {
      gaps[table.name]!++;
      continue;
    }
    target.exec("BEGIN");
    for (const row of found) {
      if (isInserted(() => insert.run(...reader.valuesOf(row)))) rows[table.name]!++;
      else gaps[table.name]!++;
    }
    target.exec("COMMIT");
    if (!turn.over) continue;
    oncopied(Object.values(rows).reduce((sum, count) => sum + count, 0));
    await turn.giveWay();
  }
}

/** False when the row is of a form that cannot be: a number where there was a text. */
function isInserted(insert: () => void): boolean {
  try {
    insert();
    return true;
  } catch (error) {
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== CONSTRAINT) throw error;
    return false;
  }
}

/** Where no chunk is missing, those of a message give its size: its row can be made again. Only of plain ones, which are as long as they look. */
function restoreMessages(database: DatabaseSync): void {
  database.exec(`
    INSERT OR IGNORE INTO messages (id, bytes, chunks)
    SELECT key / 1048576, sum(length(bytes)), count(*) FROM chunks
    WHERE EXISTS (SELECT 1 FROM envelopes WHERE message = key / 1048576)
      AND NOT EXISTS (SELECT 1 FROM loose WHERE loose.message = key / 1048576)
    GROUP BY key / 1048576 HAVING max(form) = 0`);
}

/** What does not belong together any more is set aside, message by message. */
function noteDamage(database: DatabaseSync, now: number): number {
  const note = (reason: string, messages: string) =>
    Number(
      database.prepare(
        `INSERT OR IGNORE INTO damaged (message, id, reason, found_at) SELECT message, 0, ?, ? FROM (${messages})`,
      ).run(reason, now).changes,
    );
  const hasMessage = "SELECT 1 FROM messages WHERE messages.id = ";
  return note(
    "its text is lost",
    `SELECT DISTINCT message FROM envelopes WHERE NOT EXISTS (${hasMessage} envelopes.message)`,
  ) + note(
    "a part of its text is lost",
    `SELECT id AS message FROM messages WHERE chunks <>
       (SELECT count(*) FROM chunks WHERE key >= messages.id * 1048576 AND key < (messages.id + 1) * 1048576)`,
  ) + note(
    "its envelopes are lost",
    `SELECT id AS message FROM messages WHERE NOT EXISTS (SELECT 1 FROM envelopes WHERE message = messages.id)`,
  ) + note(
    "only its text is left",
    `SELECT DISTINCT key / 1048576 AS message FROM chunks WHERE NOT EXISTS (${hasMessage} key / 1048576)
       AND NOT EXISTS (SELECT 1 FROM loose WHERE loose.message = key / 1048576)`,
  );
}

function rename(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function removeFiles(path: string): void {
  for (const end of ["", "-wal", "-shm"]) {
    try {
      Deno.removeSync(path + end);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
