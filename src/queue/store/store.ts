/**
 * The statements of the queue's database. Each call acts inside the transaction that commits.ts holds open; rows are checked before they
 * come here. Uses no doors and no rules.
 */

import type { DatabaseSync } from "node:sqlite";
import {
  type Envelope,
  type EnvelopeContent,
  envelopeIdOf,
  type EnvelopeRow,
  type EnvelopeState,
  type MessageNumber,
} from "../../envelope/mod.ts";
import { openDatabase, PAGE_BYTES } from "./database.ts";
import { FileHold } from "./file_hold.ts";
import { chunkKey, MAX_CHUNKS } from "./chunk_key.ts";
import {
  type EnvelopeRange,
  FIRST_ROW,
  LAST_MESSAGE,
  type MessageRange,
  type StoredMessage,
  type TicketRange,
  wholeMessage,
} from "./ranges.ts";
import { Records, type StoredChunk } from "./records.ts";
import { ReportRows } from "./report_rows.ts";
import { ERASE_CHUNKS, prepareStatements } from "./statements.ts";
import {
  contentName,
  type DamagedRow,
  errorColumn,
  errorName,
  errorOf,
  formatStatus,
  hexOfKey,
  laneOf,
  makeRow,
  type NewEnvelope,
  type StoredEnvelope,
  type TicketRow,
  toEnvelope,
  type Unreadable,
} from "./rows.ts";

/** Free pages given back in one go: 16 MiB. */
const SHRINK_PAGES = 1024;
/** Where there is no room for so many: pages of a step, and steps at one time. */
const SHRINK_STEP_PAGES = 16, SHRINK_STEPS = 32;

export class Store {
  readonly #database: DatabaseSync;
  readonly #sql: ReturnType<typeof prepareStatements>;
  readonly #records: Records;
  #synced = true;
  /** For a copy of the database file. Ends when room is needed. */
  readonly fileHold: FileHold;

  /** Throws when the database is of a newer format, or holds messages that no key of `records` opens. */
  constructor(spool: string, records = new Records()) {
    this.#database = openDatabase(spool);
    this.fileHold = new FileHold(this.#database);
    this.#records = records;
    this.#sql = prepareStatements(this.#database);
    try {
      this.#checkKeys();
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Whether what is written from now on is compressed. */
  setCompression({ on }: { readonly on: boolean }): void {
    this.#records.compression = on;
  }

  /** What is encrypted stays readable: a start without its key is refused before mail comes to harm. Keys that nothing needs are forgotten. */
  #checkKeys(): void {
    let unreadable = 0;
    for (const { id } of this.#sql.keys.all() as { id: number }[]) {
      if (this.#records.knows(id)) continue;
      const { messages } = this.#sql.sealedWith.get(hexOfKey(id)) as { messages: number };
      unreadable += messages;
      if (messages === 0) this.#sql.removeKey.run(id);
    }
    if (unreadable > 0) {
      const plural = unreadable === 1 ? "message is" : "messages are";
      throw new Error(
        `${unreadable} queued ${plural} encrypted with another key: name it with "queue encryption" or, if it was replaced, "queue encryption backup"`,
      );
    }
    if (this.#records.keyId !== null) this.#sql.addKey.run(this.#records.keyId);
  }

  /** Starts a transaction. The commit of one that is "unsynced" survives the death of the process, not that of the machine. */
  begin(durability: "synced" | "unsynced"): void {
    const synced = durability === "synced";
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

  /** The results that wait for reports, in the same database and the same transactions. */
  openReportRows(): ReportRows {
    return new ReportRows(this.#database);
  }

  /** Reads a little of every table, to find damage before the doors open. Throws what the database throws. */
  touch(): void {
    this.#sql.list.all(0, 0, LAST_MESSAGE, 1);
    this.damaged(1);
    this.orphans();
    this.taken({ first: FIRST_ROW.message, last: FIRST_ROW.message });
    this.#sql.anyMessage.get();
  }

  /** What is left of a damaged message without envelopes: its text is an orphan now. False when it has envelopes. */
  discard(message: MessageNumber): boolean {
    this.forgetDamage(wholeMessage(message));
    if (this.#sql.anyEnvelope.get(message) !== undefined) return false;
    this.#sql.removeMessage.get(message);
    this.addOrphan(message);
    return true;
  }

  /** Bytes of the database file that hold nothing. */
  unused(): number {
    return Number((this.#sql.unused.get() as { freelist_count: number }).freelist_count) * PAGE_BYTES;
  }

  /**
   * Gives back what the disk can spare: free pages first, which need not be moved then, and the log, whose pages go to the database. Fails
   * quietly: there may be no room to make room.
   */
  makeRoom(): void {
    this.fileHold.release();
    let shrunk = this.#pragma(`incremental_vacuum(${SHRINK_PAGES})`);
    this.#pragma("wal_checkpoint(TRUNCATE)");
    // Giving pages back takes room in the log first: with little room it goes in little steps.
    for (let steps = 0; !shrunk && steps < SHRINK_STEPS && this.unused() > 0; steps++) {
      if (!this.#pragma(`incremental_vacuum(${SHRINK_STEP_PAGES})`)) return;
      if (!this.#pragma("wal_checkpoint(TRUNCATE)")) return;
      shrunk = this.unused() < SHRINK_STEP_PAGES * PAGE_BYTES;
    }
  }

  /** Moves what is in the log into the database file, which may grow by that, and gives the log's room back. Fails quietly. */
  emptyLog(): void {
    this.fileHold.release();
    this.#pragma("wal_checkpoint(TRUNCATE)");
  }

  /** False when it failed: the next commit reports what is wrong. */
  #pragma(step: string): boolean {
    try {
      this.#database.prepare(`PRAGMA ${step}`).all();
      return true;
    } catch {
      return false;
    }
  }

  /** Limits the size of the database file, in pages; for tests of a full disk. */
  limitPages(pages: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${pages}`);
  }

  /** Adds the row of a message: `bytes` are the octets of its text, which lies in so many chunks. */
  addMessage(message: MessageNumber, { bytes, chunks }: StoredMessage): void {
    this.#sql.addMessage.run(message, bytes, chunks);
  }

  /** The row of a new envelope, encrypted if that is configured: made before the transaction that `putEnvelope` is part of. */
  makeEnvelope(content: EnvelopeContent): NewEnvelope {
    return makeRow(content, this.#records);
  }

  /** False when the message has an envelope of that id already. */
  putEnvelope(row: NewEnvelope): boolean {
    const { message, envelope, agent, action, lane, created_at, content, sealed, sum } = row;
    const done = this.#sql.addEnvelope.run(message, envelope, agent, action, lane, created_at, content, sealed, sum);
    return Number(done.changes) === 1;
  }

  /** As putEnvelope, where the transaction decides whether there is one. */
  addEnvelope(content: EnvelopeContent): boolean {
    return this.putEnvelope(this.makeEnvelope(content));
  }

  /**
   * The form in which a chunk is stored, made before the transaction that `putChunk` is part of: of a large one that is sealed off this thread.
   * `bytes` must not change until that is done.
   */
  makeChunk(message: MessageNumber, index: number, bytes: Uint8Array<ArrayBuffer>): StoredChunk | Promise<StoredChunk> {
    return this.#records.encodeChunk(chunkKey(message, index), bytes);
  }

  putChunk(message: MessageNumber, index: number, { bytes, form, sum }: StoredChunk): void {
    this.#sql.addChunk.run(chunkKey(message, index), bytes, form, sum);
  }

  /** Notes that the message's chunks belong to no envelope yet, or no more. */
  addOrphan(message: MessageNumber): void {
    this.#sql.addOrphan.run(message);
  }

  removeOrphan(message: MessageNumber): void {
    this.#sql.removeOrphan.run(message);
  }

  /** False when there is no such envelope. The caller sweeps its message when it is done with it. */
  removeEnvelope({ message, envelope }: EnvelopeRow): boolean {
    return Number(this.#sql.removeEnvelope.run(message, envelope).changes) === 1;
  }

  /** Deletes a message that has no envelope left. True when its chunks are too many to go at once: then call `eraseSome`. */
  sweep(message: MessageNumber): boolean {
    if (this.#sql.anyEnvelope.get(message) !== undefined) return false;
    const row = this.#sql.removeMessage.get(message) as { chunks: number } | undefined;
    if (row === undefined || row.chunks === 0) return false;
    if (row.chunks > ERASE_CHUNKS) {
      this.addOrphan(message);
      return true;
    }
    this.#sql.removeChunks.run(chunkKey(message, 0), chunkKey(message, row.chunks - 1));
    return false;
  }

  /** Erases a part of an orphan; true when nothing of it is left. */
  eraseSome(message: MessageNumber): boolean {
    const erased = this.#sql.eraseChunks.run(chunkKey(message, 0), chunkKey(message, MAX_CHUNKS - 1));
    if (Number(erased.changes) === ERASE_CHUNKS) return false;
    this.removeOrphan(message);
    return true;
  }

  /** Notes that an envelope, or with `envelope` 0 a whole message, cannot be read. False when that was known. */
  addDamage({ message, envelope, reason, found_at }: DamagedRow): boolean {
    return Number(this.#sql.addDamage.run(message, envelope, reason, found_at).changes) === 1;
  }

  /** What is in quarantine, in order of id. */
  damaged(limit: number): DamagedRow[] {
    return this.#sql.damaged.all(limit) as unknown as DamagedRow[];
  }

  /** The administrator removes it: of a whole message with `envelope` 0. */
  forgetDamage({ message, envelope }: EnvelopeRow): void {
    this.#sql.forgetDamage.run(message, envelope);
  }

  /** Messages whose chunks belong to no envelope: received in part, or to be erased. */
  orphans(): MessageNumber[] {
    return (this.#sql.orphans.all() as { message: MessageNumber }[]).map((row) => row.message);
  }

  /** False when there is no such envelope. */
  setState(row: EnvelopeRow, state: Omit<EnvelopeState, "suspended">): boolean {
    const { tries, lastTryAt, lastBounceAt, status } = state;
    const done = this.#sql.setState.run(
      tries,
      lastTryAt,
      lastBounceAt,
      this.#records.encryptText(errorName(row), errorColumn(state)),
      formatStatus(status),
      row.message,
      row.envelope,
    );
    return Number(done.changes) === 1;
  }

  /**
   * Queued by a clock that was ahead: from now on it was at this time, in ms since the epoch. The last attempt was no later, and the notices of delay
   * that were sent are as long after it as they were. Throws Damaged.
   */
  setCreation({ message, envelope }: EnvelopeRow, createdAt: number): void {
    const row = this.#sql.envelope.get(message, envelope) as StoredEnvelope | undefined;
    if (row === undefined) return;
    const {
      tries: _,
      lastTryAt: _1,
      lastBounceAt: _2,
      errorLine: _3,
      remote: _4,
      status: _5,
      suspended: _6,
      ...content
    } = toEnvelope(row, this.#records);
    const { lane, content: text, sealed, sum } = this.makeEnvelope({ ...content, createdAt });
    this.#sql.setCreation.run(createdAt, lane, text, sealed, sum, message, envelope);
  }

  /** Returns whether it changed. */
  setSuspended({ message, envelope }: EnvelopeRow, { suspended }: { readonly suspended: boolean }): boolean {
    return Number(this.#sql.setSuspended.run(suspended ? 1 : 0, message, envelope).changes) === 1;
  }

  /** Throws Damaged. */
  envelope({ message, envelope }: EnvelopeRow): Envelope | null {
    const row = this.#sql.envelope.get(message, envelope) as StoredEnvelope | undefined;
    return row === undefined ? null : toEnvelope(row, this.#records);
  }

  /** The size of a message; null when it is not queued. */
  message(message: MessageNumber): StoredMessage | null {
    return (this.#sql.message.get(message) as StoredMessage | undefined) ?? null;
  }

  /** How many chunks are in place, whatever the message's row says. */
  chunksOf(message: MessageNumber): number {
    const first = chunkKey(message, 0);
    const row = this.#sql.lastChunk.get(first, chunkKey(message, MAX_CHUNKS - 1)) as { key: number } | undefined;
    return row === undefined ? 0 : row.key - first + 1;
  }

  /** A large one that is sealed is opened off this thread. Throws Damaged, or the promise is rejected with it. */
  chunk(message: MessageNumber, index: number): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> | null {
    const key = chunkKey(message, index);
    const row = this.#sql.chunk.get(key) as StoredChunk | undefined;
    return row === undefined ? null : this.#records.decodeChunk(key, row);
  }

  /** There are so many envelopes or more. */
  holds(count: number): boolean {
    return (this.#sql.envelopes.get(count) as { count: number }).count === count;
  }

  /** Rows in order of id. A row that cannot be read has an empty lane and is `damaged`. */
  tickets({ after, end, fresh }: TicketRange, limit: number): TicketRow[] {
    const statement = fresh ? this.#sql.freshTickets : this.#sql.triedTickets;
    const rows = statement.all(after.message, after.envelope, end, limit) as unknown as (
      & Omit<TicketRow, "error">
      & Pick<StoredEnvelope, "sealed" | "error_line">
    )[];
    return rows.map((row) => {
      const ticket = { ...row, error: row.tries === 0 ? "" : errorOf(row, this.#records).errorLine };
      return row.sealed === null ? ticket : this.#openTicket(ticket, row.sealed);
    });
  }

  #openTicket(row: TicketRow, sealed: Uint8Array<ArrayBuffer>): TicketRow {
    const { agent, action, created_at } = row;
    try {
      const name = contentName({ id: envelopeIdOf(row), agent, action, createdAt: created_at });
      const content = this.#records.decryptContent(name, sealed);
      return { ...row, lane: laneOf(JSON.parse(content) as EnvelopeContent) };
    } catch (error) {
      return { ...row, damaged: (error as Error).message };
    }
  }

  /** The first `limit` envelopes of a range, in order of id. Of what cannot be read there are the id and the reason. */
  list({ after, last }: EnvelopeRange, limit: number): (Envelope | Unreadable)[] {
    const rows = this.#sql.list.all(after.message, after.envelope, last, limit) as unknown as StoredEnvelope[];
    return rows.map((row) => {
      try {
        return toEnvelope(row, this.#records);
      } catch (error) {
        return { id: envelopeIdOf(row), unreadable: (error as Error).message };
      }
    });
  }

  /** True when a message, or the rest of one, has an id in this range. */
  taken({ first, last }: MessageRange): boolean {
    const row = this.#sql.taken.get(first, last, chunkKey(first, 0), chunkKey(last, MAX_CHUNKS - 1));
    return Number((row as { taken: number }).taken) === 1;
  }

  /** Gives the disk back what a large queue took, when the queue is empty. */
  shrink(): void {
    if (this.#sql.anyMessage.get() !== undefined || this.orphans().length > 0) return;
    // `exec` would take one step, which is one page.
    this.#database.prepare("PRAGMA incremental_vacuum").all();
  }
}
