/**
 * The statements of the queue's database. Each call acts inside the transaction that commits.ts holds open; rows are checked before they
 * come here. Knows no doors and no rules.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Agent, Envelope, EnvelopeFacts, EnvelopeState, Status } from "../envelope/mod.ts";
import { openDatabase } from "./database.ts";
import { chunkKey, envelopeNumber, MAX_CHUNKS, messageNumber } from "./keys.ts";

/** Chunks erased in one go. Each may be 16 pages to visit: more would keep others waiting. */
const ERASE_CHUNKS = 8;

/** A row as start-up reads it: what the scheduler needs. */
export interface TicketRow {
  readonly message: number;
  readonly id: number;
  readonly agent: Agent;
  readonly action: string;
  readonly lane: string;
  readonly created_at: number;
  readonly tries: number;
  readonly suspended: number;
}

export interface EnvelopeRow {
  readonly facts: string;
  readonly tries: number;
  readonly last_try_at: number;
  readonly last_bounce_at: number;
  readonly error_line: string;
  readonly status: string;
  readonly suspended: number;
}

export const STATE = "tries, last_try_at, last_bounce_at, error_line, status, suspended";

/** Every statement, prepared once. */
function statements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    begin: prepare("BEGIN IMMEDIATE"),
    commit: prepare("COMMIT"),
    rollback: prepare("ROLLBACK"),
    addMessage: prepare("INSERT INTO messages (id, bytes, chunks) VALUES (?, ?, ?)"),
    addEnvelope: prepare(
      "INSERT OR IGNORE INTO envelopes (message, id, agent, action, lane, created_at, facts) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ),
    addChunk: prepare("INSERT INTO chunks (key, bytes) VALUES (?, ?)"),
    addLoose: prepare("INSERT OR IGNORE INTO loose (message) VALUES (?)"),
    removeLoose: prepare("DELETE FROM loose WHERE message = ?"),
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
    setSuspended: prepare("UPDATE envelopes SET suspended = ?1 WHERE message = ?2 AND id = ?3 AND suspended <> ?1"),
    envelope: prepare(`SELECT facts, ${STATE} FROM envelopes WHERE message = ? AND id = ?`),
    message: prepare("SELECT bytes, chunks FROM messages WHERE id = ?"),
    chunk: prepare("SELECT bytes FROM chunks WHERE key = ?"),
    tickets: prepare(
      `SELECT message, id, agent, action, lane, created_at, tries, suspended FROM envelopes
       WHERE (message, id) > (?, ?) ORDER BY message, id LIMIT ?`,
    ),
    list: prepare(
      `SELECT facts, ${STATE} FROM envelopes
       WHERE (message, id) > (?, ?) AND message <= ? ORDER BY message, id LIMIT ?`,
    ),
    loose: prepare("SELECT message FROM loose"),
    taken: prepare(
      `SELECT EXISTS (SELECT 1 FROM messages WHERE id BETWEEN ?1 AND ?2) OR
              EXISTS (SELECT 1 FROM chunks WHERE key BETWEEN ?3 AND ?4) AS taken`,
    ),
    anyMessage: prepare("SELECT 1 FROM messages LIMIT 1"),
  };
}

export class Store {
  readonly #database: DatabaseSync;
  readonly #sql: ReturnType<typeof statements>;
  #synced = true;

  constructor(spool: string) {
    this.#database = openDatabase(spool);
    this.#sql = statements(this.#database);
  }

  /** Starts a transaction. Without `synced` its commit survives the death of the process, not that of the machine. */
  begin(synced: boolean): void {
    if (synced !== this.#synced) {
      this.#database.exec(`PRAGMA synchronous = ${synced ? "FULL" : "NORMAL"}`);
      this.#synced = synced;
    }
    this.#sql.begin.run();
  }

  commit(): void {
    this.#sql.commit.run();
  }

  /** Undoes the transaction. A full disk may have undone it already. */
  rollback(): void {
    try {
      this.#sql.rollback.run();
    } catch {
      // Nothing to roll back.
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Limits the size of the database file, in pages; for tests of a full disk. */
  limitPages(pages: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${pages}`);
  }

  addMessage(message: number, bytes: number, chunks: number): void {
    this.#sql.addMessage.run(message, bytes, chunks);
  }

  /** False when the message has an envelope of that id already. */
  addEnvelope(facts: EnvelopeFacts): boolean {
    const { id, agent, action, createdAt } = facts;
    const json = JSON.stringify(facts);
    const done = this.#sql.addEnvelope.run(
      messageNumber(id),
      envelopeNumber(id),
      agent,
      action,
      laneOf(facts),
      createdAt,
      json,
    );
    return Number(done.changes) === 1;
  }

  addChunk(message: number, index: number, bytes: Uint8Array): void {
    this.#sql.addChunk.run(chunkKey(message, index), bytes);
  }

  /** Notes that the message's chunks belong to nobody yet, or no more. */
  addLoose(message: number): void {
    this.#sql.addLoose.run(message);
  }

  removeLoose(message: number): void {
    this.#sql.removeLoose.run(message);
  }

  /** False when there is no such envelope. The caller sweeps its message when it is done with it. */
  removeEnvelope(message: number, number: number): boolean {
    return Number(this.#sql.removeEnvelope.run(message, number).changes) === 1;
  }

  /** Deletes a message that has no envelope left. True when its chunks are too many to go at once: then call `eraseSome`. */
  sweep(message: number): boolean {
    if (this.#sql.anyEnvelope.get(message) !== undefined) return false;
    const row = this.#sql.removeMessage.get(message) as { chunks: number } | undefined;
    if (row === undefined || row.chunks === 0) return false;
    if (row.chunks > ERASE_CHUNKS) {
      this.addLoose(message);
      return true;
    }
    this.#sql.removeChunks.run(chunkKey(message, 0), chunkKey(message, row.chunks - 1));
    return false;
  }

  /** Erases a part of a loose message; true when nothing of it is left. */
  eraseSome(message: number): boolean {
    const erased = this.#sql.eraseChunks.run(chunkKey(message, 0), chunkKey(message, MAX_CHUNKS - 1));
    if (Number(erased.changes) === ERASE_CHUNKS) return false;
    this.removeLoose(message);
    return true;
  }

  looseMessages(): number[] {
    return (this.#sql.loose.all() as { message: number }[]).map((row) => row.message);
  }

  /** False when there is no such envelope. */
  setState(message: number, number: number, state: Omit<EnvelopeState, "suspended">): boolean {
    const { tries, lastTryAt, lastBounceAt, errorLine, status } = state;
    const done = this.#sql.setState.run(
      tries,
      lastTryAt,
      lastBounceAt,
      errorLine,
      formatStatus(status),
      message,
      number,
    );
    return Number(done.changes) === 1;
  }

  /** True when it changed. */
  setSuspended(message: number, number: number, suspended: boolean): boolean {
    return Number(this.#sql.setSuspended.run(suspended ? 1 : 0, message, number).changes) === 1;
  }

  envelope(message: number, number: number): Envelope | null {
    const row = this.#sql.envelope.get(message, number) as EnvelopeRow | undefined;
    return row === undefined ? null : toEnvelope(row);
  }

  message(message: number): { readonly bytes: number; readonly chunks: number } | null {
    return (this.#sql.message.get(message) as { bytes: number; chunks: number } | undefined) ?? null;
  }

  chunk(message: number, index: number): Uint8Array<ArrayBuffer> | null {
    const row = this.#sql.chunk.get(chunkKey(message, index)) as { bytes: Uint8Array<ArrayBuffer> } | undefined;
    return row?.bytes ?? null;
  }

  /** Rows after this envelope, in order of id. */
  tickets(message: number, number: number, limit: number): TicketRow[] {
    return this.#sql.tickets.all(message, number, limit) as unknown as TicketRow[];
  }

  /** Envelopes after this one in order of id, none of a message above `last`. */
  list(message: number, number: number, last: number, limit: number): Envelope[] {
    return (this.#sql.list.all(message, number, last, limit) as unknown as EnvelopeRow[]).map(toEnvelope);
  }

  /** True when a message, or the rest of one, has an id in this range. */
  taken(first: number, last: number): boolean {
    const row = this.#sql.taken.get(first, last, chunkKey(first, 0), chunkKey(last, MAX_CHUNKS - 1));
    return Number((row as { taken: number }).taken) === 1;
  }

  /** Gives the disk back what a large queue took, when the queue is empty. */
  shrink(): void {
    if (this.#sql.anyMessage.get() !== undefined || this.looseMessages().length > 0) return;
    // `exec` would take one step, which is one page.
    this.#database.prepare("PRAGMA incremental_vacuum").all();
  }
}

/** What shares a fate with this envelope: the local user, or the destination domain. */
export function laneOf(facts: EnvelopeFacts): string {
  if (facts.agent === "mda") return (facts.user ?? "").toLowerCase();
  return facts.agent === "mta" ? facts.dest.domain.toLowerCase() : "";
}

export function toEnvelope(row: EnvelopeRow): Envelope {
  return {
    ...JSON.parse(row.facts) as EnvelopeFacts,
    tries: row.tries,
    lastTryAt: row.last_try_at,
    lastBounceAt: row.last_bounce_at,
    errorLine: row.error_line,
    status: parseStatus(row.status),
    suspended: row.suspended === 1,
  };
}

/** "4.4.7", "" for none. */
function formatStatus(status: Status | null): string {
  return status === null ? "" : `${status.class}.${status.code}`;
}

function parseStatus(text: string): Status | null {
  if (text === "") return null;
  return { class: Number(text[0]) as Status["class"], code: text.slice(2) };
}
