/**
 * The SQL of the queue's database. Long on purpose: one statement per line or two, read as a table. What calls them is store.ts.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import { ENVELOPE } from "./rows.ts";

/** Chunks erased in one go. Each may be 16 pages to visit: more would keep others waiting. */
export const ERASE_CHUNKS = 8;

function ticketsWhere(tries: string): string {
  return `SELECT message, id AS envelope, agent, action, lane, created_at, tries, last_try_at, error_line, suspended, sealed FROM envelopes
          WHERE (message, id) > (?, ?) AND message <= ? AND ${tries} ORDER BY message, id LIMIT ?`;
}

/** Returns every statement, prepared once. Throws what SQLite throws when a table is missing. */
export function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    begin: prepare("BEGIN IMMEDIATE"),
    commit: prepare("COMMIT"),
    rollback: prepare("ROLLBACK"),
    addMessage: prepare("INSERT INTO messages (id, bytes, chunks) VALUES (?, ?, ?)"),
    addEnvelope: prepare(
      `INSERT OR IGNORE INTO envelopes (message, id, agent, action, lane, created_at, facts, sealed, sum)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addChunk: prepare("INSERT INTO chunks (key, bytes, form, sum) VALUES (?, ?, ?, ?)"),
    addOrphan: prepare("INSERT OR IGNORE INTO loose (message) VALUES (?)"),
    removeOrphan: prepare("DELETE FROM loose WHERE message = ?"),
    removeEnvelope: prepare("DELETE FROM envelopes WHERE message = ? AND id = ?"),
    anyEnvelope: prepare("SELECT 1 FROM envelopes WHERE message = ? LIMIT 1"),
    removeMessage: prepare("DELETE FROM messages WHERE id = ? RETURNING chunks"),
    removeChunks: prepare("DELETE FROM chunks WHERE key BETWEEN ? AND ?"),
    eraseChunks: prepare(
      `DELETE FROM chunks WHERE key IN (SELECT key FROM chunks WHERE key BETWEEN ? AND ? LIMIT ${ERASE_CHUNKS})`,
    ),
    setState: prepare(
      `UPDATE envelopes SET tries = ?, last_try_at = ?, last_bounce_at = ?, error_line = ?, status = ?
       WHERE message = ? AND id = ?`,
    ),
    setCreation: prepare(
      `UPDATE envelopes SET created_at = ?1, lane = ?2, facts = ?3, sealed = ?4, sum = ?5,
         last_try_at = min(last_try_at, ?1), last_bounce_at = max(0, last_bounce_at - (created_at - ?1))
       WHERE message = ?6 AND id = ?7`,
    ),
    setSuspended: prepare("UPDATE envelopes SET suspended = ?1 WHERE message = ?2 AND id = ?3 AND suspended <> ?1"),
    envelope: prepare(`SELECT ${ENVELOPE} FROM envelopes WHERE message = ? AND id = ?`),
    message: prepare("SELECT bytes, chunks FROM messages WHERE id = ?"),
    chunk: prepare("SELECT form, sum, bytes FROM chunks WHERE key = ?"),
    lastChunk: prepare("SELECT key FROM chunks WHERE key BETWEEN ? AND ? ORDER BY key DESC LIMIT 1"),
    freshTickets: prepare(ticketsWhere("tries = 0")),
    // Not "above 0": a damaged number must not leave mail behind without a notice.
    triedTickets: prepare(ticketsWhere("tries <> 0")),
    list: prepare(
      `SELECT ${ENVELOPE} FROM envelopes
       WHERE (message, id) > (?, ?) AND message <= ? ORDER BY message, id LIMIT ?`,
    ),
    orphans: prepare("SELECT message FROM loose"),
    taken: prepare(
      `SELECT EXISTS (SELECT 1 FROM messages WHERE id BETWEEN ?1 AND ?2) OR
              EXISTS (SELECT 1 FROM chunks WHERE key BETWEEN ?3 AND ?4) AS taken`,
    ),
    envelopes: prepare("SELECT count(*) AS count FROM (SELECT 1 FROM envelopes LIMIT ?)"),
    anyMessage: prepare("SELECT 1 FROM messages LIMIT 1"),
    addDamage: prepare("INSERT OR IGNORE INTO damaged (message, id, reason, found_at) VALUES (?, ?, ?, ?)"),
    damaged: prepare("SELECT message, id AS envelope, reason, found_at FROM damaged ORDER BY message, id LIMIT ?"),
    forgetDamage: prepare("DELETE FROM damaged WHERE message = ?1 AND (id = ?2 OR ?2 = 0)"),
    unused: prepare("PRAGMA freelist_count"),
    keys: prepare("SELECT id FROM keys"),
    addKey: prepare("INSERT OR IGNORE INTO keys (id) VALUES (?)"),
    removeKey: prepare("DELETE FROM keys WHERE id = ?"),
    // A bounce that was added later may be all that is left of a message, and be of another key than the text.
    sealedWith: prepare(
      `SELECT count(*) AS messages FROM (
         SELECT message FROM envelopes WHERE hex(substr(sealed, 1, 6)) = ?1
         UNION SELECT key / 1048576 FROM chunks WHERE form >= 2 AND hex(substr(bytes, 1, 6)) = ?1
           AND NOT EXISTS (SELECT 1 FROM loose WHERE loose.message = key / 1048576))`,
    ),
  };
}
