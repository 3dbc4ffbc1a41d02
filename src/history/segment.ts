/**
 * One file of the history: an SQLite database with the events of up to a quarter of a million messages, in the order in which they began, and an index of what they are
 * found by. While it is written, the index is in memory, and on disk as it came; when it is full, the index is sorted, and in pages. Later events of a message go where
 * the message is. It is long because each part of the format needs the others. docs/decisions/0025-history-in-segments-of-sqlite.md has the reasons.
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { FieldKey } from "./fields.ts";
import { collectRows, lowerBound, MAX_ROWS, posting, PostingRuns } from "./postings.ts";

/** Written into the file. A newer one is left alone. */
export const SEGMENT_VERSION = 1;
/** Octets of a page: one of the index fits. */
export const PAGE_BYTES = 8192;
const PAGE_POSTINGS = 1000;
/** Messages that are compressed together: more need less room, and cost more to read one of. */
const BLOCK_MESSAGES = 32;
/** Octets that one block may be, decompressed. */
const MAX_BLOCK_BYTES = 256 * 1024 * 1024;
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const encoder = new TextEncoder(), decoder = new TextDecoder();

const TABLES = `
-- Messages one after the other, from the row 'first': their lines, with an empty line between two messages, compressed together.
CREATE TABLE blocks (
  first INTEGER PRIMARY KEY,
  count INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  lines BLOB NOT NULL
) STRICT;
-- When they began, without the pages of the lines.
CREATE INDEX spans ON blocks (since, until, first, count);
-- Lines that came later, of several messages, and where those of each are.
CREATE TABLE later_blocks (
  id INTEGER PRIMARY KEY,
  lines BLOB NOT NULL
) STRICT;
CREATE TABLE later (
  message INTEGER NOT NULL,
  block INTEGER NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (message, block, place)
) STRICT, WITHOUT ROWID;
-- The index while the file is written: sorted runs of postings, as they came.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  postings BLOB NOT NULL
) STRICT;
-- Then all of them sorted, by the first of each page; and what came since.
CREATE TABLE pages (
  first INTEGER PRIMARY KEY,
  postings BLOB NOT NULL
) STRICT;
-- The first posting of each page, in order: where to look is known without reading the pages.
CREATE TABLE firsts (
  id INTEGER PRIMARY KEY,
  postings BLOB NOT NULL
) STRICT;
CREATE TABLE later_postings (
  posting INTEGER PRIMARY KEY
) STRICT;
-- What replies have in common with others.
CREATE TABLE forms (
  form TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
-- Messages of which more is to be expected.
CREATE TABLE open (
  message INTEGER PRIMARY KEY
) STRICT;
`;

/** A file that cannot be used: of a newer version, or damaged. */
export class UnusableSegment extends Error {
  readonly newer: boolean;
  constructor(message: string, { newer }: { readonly newer: boolean }) {
    super(message);
    this.newer = newer;
  }
}

export interface SegmentFile {
  readonly path: string;
  readonly number: number;
  /** Pages that its log grows to before they are written into it. */
  readonly logPages: number;
}

/** A message that is new. */
export interface NewRow {
  readonly at: number;
  readonly lines: readonly string[];
  readonly keys: readonly FieldKey[];
  readonly forms: readonly string[];
  readonly final: boolean;
}

/** What came later of a message. */
export interface LaterLines extends Omit<NewRow, "at"> {
  readonly row: number;
}

interface Statements {
  readonly block: StatementSync;
  readonly addBlock: StatementSync;
  readonly addLaterBlock: StatementSync;
  readonly addLater: StatementSync;
  readonly later: StatementSync;
  readonly laterBlock: StatementSync;
  readonly addRun: StatementSync;
  readonly page: StatementSync;
  readonly firsts: StatementSync;
  readonly addFirsts: StatementSync;
  readonly addPage: StatementSync;
  readonly laterPostings: StatementSync;
  readonly addLaterPosting: StatementSync;
  readonly addForm: StatementSync;
  readonly forms: StatementSync;
  readonly addOpen: StatementSync;
  readonly removeOpen: StatementSync;
  readonly open: StatementSync;
  readonly spans: StatementSync;
}

export class Segment {
  readonly number: number;
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  /** Rows so far, and when the first and the last of them began. */
  rows: number;
  since: number;
  until: number;
  /** Null once it is sorted. */
  #runs: PostingRuns | null;
  /** The first posting of each of its pages; null before it is needed. */
  #firsts: Float64Array | null = null;
  #hasLater: boolean;
  /** Forms of replies; null before they are needed. */
  #forms: Set<string> | null = null;
  /** The block that was read last. */
  #read: { readonly first: number; readonly messages: readonly string[] } | null = null;

  /** Opens the file, and makes it where it is missing. Throws UnusableSegment, and what the disk says. */
  constructor({ path, number, logPages }: SegmentFile) {
    this.path = path;
    this.number = number;
    this.#database = openDatabase(path, logPages);
    try {
      this.#statements = prepare(this.#database);
      const { rows, since, until } = this.#database.prepare(
        "SELECT max(first + count) AS rows, min(since) AS since, max(until) AS until FROM blocks",
      ).get() as { rows: number | null; since: number | null; until: number | null };
      this.rows = rows ?? 0;
      this.since = since ?? Infinity;
      this.until = until ?? -Infinity;
      this.#runs = this.#readRuns();
      this.#hasLater = this.#database.prepare("SELECT 1 FROM later_postings LIMIT 1").get() !== undefined;
    } catch (error) {
      this.#database.close();
      throw unusable(error);
    }
  }

  get sorted(): boolean {
    return this.#runs === null;
  }

  get full(): boolean {
    return this.rows >= MAX_ROWS;
  }

  /** Adds messages, and lines to messages that it has, at once or not at all. Returns the row of the first new one. */
  write(rows: readonly NewRow[], later: readonly LaterLines[]): number {
    const first = this.rows;
    const postings: number[] = [];
    rows.forEach(({ keys }, at) => keys.forEach((key) => postings.push(posting(key, first + at))));
    for (const { row, keys } of later) for (const key of keys) postings.push(posting(key, row));
    const run = Float64Array.from(postings).sort();
    const forms = [...rows, ...later].flatMap((one) => one.forms);
    this.#transaction(() => {
      this.#addForms(forms);
      for (let at = 0; at < rows.length; at += BLOCK_MESSAGES) {
        this.#addBlock(first + at, rows.slice(at, at + BLOCK_MESSAGES));
      }
      rows.forEach(({ final }, at) => final || this.#statements.addOpen.run(first + at));
      if (later.length > 0) this.#addLater(later);
      if (run.length === 0) return;
      if (this.#runs !== null) this.#statements.addRun.run(bytesOf(run));
      else for (const one of run) this.#statements.addLaterPosting.run(one);
    });
    if (this.#runs === null && run.length > 0) this.#hasLater = true;
    this.#runs?.add(run);
    this.rows += rows.length;
    for (const { at } of rows) {
      this.since = Math.min(this.since, at);
      this.until = Math.max(this.until, at);
    }
    return first;
  }

  #addBlock(first: number, rows: readonly NewRow[]): void {
    const times = rows.map(({ at }) => at);
    const since = Math.floor(Math.min(...times)), until = Math.ceil(Math.max(...times));
    this.#statements.addBlock.run(first, rows.length, since, until, pack(rows.map(({ lines }) => lines)));
  }

  #addLater(later: readonly LaterLines[]): void {
    for (let at = 0; at < later.length; at += BLOCK_MESSAGES) {
      const some = later.slice(at, at + BLOCK_MESSAGES);
      const { lastInsertRowid } = this.#statements.addLaterBlock.run(pack(some.map(({ lines }) => lines)));
      some.forEach(({ row }, place) => this.#statements.addLater.run(row, lastInsertRowid, place));
    }
    for (const { row, final } of later) if (final) this.#statements.removeOpen.run(row);
  }

  #addForms(forms: readonly string[]): void {
    if (forms.length === 0) return;
    const known = this.#knownForms();
    for (const form of forms) {
      if (known.has(form)) continue;
      this.#statements.addForm.run(form);
      known.add(form);
    }
  }

  #knownForms(): Set<string> {
    return this.#forms ??= new Set((this.#statements.forms.all() as { form: string }[]).map(({ form }) => form));
  }

  /** The forms of replies that its messages have. */
  forms(): Iterable<string> {
    return this.#knownForms();
  }

  /** Sorts the index: nothing new is added from then on but later lines. */
  sort(): void {
    if (this.#runs === null) return;
    const all = this.#runs.whole().filter((one, at, run) => at === 0 || one !== run[at - 1]);
    this.#transaction(() => {
      // Their room is used again by the pages.
      this.#database.exec("DELETE FROM runs");
      const firsts: number[] = [];
      for (let at = 0; at < all.length; at += PAGE_POSTINGS) {
        firsts.push(all[at]!);
        this.#statements.addPage.run(all[at]!, bytesOf(all.subarray(at, at + PAGE_POSTINGS)));
      }
      this.#statements.addFirsts.run(bytesOf(Float64Array.from(firsts)));
    });
    this.#runs = null;
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Rows below `before` that have one of the keys, the newest first. */
  rowsOf(keys: readonly FieldKey[], before: number): number[] {
    const rows: number[] = [];
    for (const key of keys) this.#collect(key, before, rows);
    return keys.length === 1 && this.#runs === null ? rows.reverse() : descending(rows);
  }

  #collect(key: FieldKey, before: number, rows: number[]): void {
    if (this.#runs !== null) return this.#runs.collect(key, before, rows);
    const from = posting(key, 0), end = posting(key, before);
    const firsts = this.#firstsOfPages();
    // The one that begins before it may have the first.
    for (let at = Math.max(0, lowerBound(firsts, from) - 1); at < firsts.length && firsts[at]! < end; at++) {
      const page = this.#statements.page.get(firsts[at]!) as { postings: Uint8Array } | undefined;
      if (page === undefined) throw new UnusableSegment("is damaged: a page of its index is missing", { newer: false });
      collectRows(floatsOf(page.postings), key, before, rows);
    }
    if (!this.#hasLater) return;
    const later = this.#statements.laterPostings.all(from, end) as { posting: number }[];
    for (const { posting } of later) rows.push(posting - from);
    if (later.length > 0) rows.sort((a, b) => a - b);
  }

  #firstsOfPages(): Float64Array {
    if (this.#firsts === null) {
      const stored = this.#statements.firsts.get() as { postings: Uint8Array } | undefined;
      this.#firsts = stored === undefined ? new Float64Array(0) : floatsOf(stored.postings);
    }
    return this.#firsts;
  }

  /** Rows below `before` of which more is to be expected, the newest first. */
  openRows(before: number): number[] {
    return (this.#statements.open.all(before) as { message: number }[]).map(({ message }) => message);
  }

  /** Rows below `before` that may have begun in this time, the newest first. */
  *rowsBetween(
    { since, until }: { readonly since: number; readonly until: number },
    before: number,
  ): Generator<number> {
    const spans = this.#statements.spans.all(
      Math.floor(Math.min(until, MAX_TIME)),
      Math.floor(Math.max(since, -MAX_TIME)),
      before,
    );
    for (const { first, count } of spans as { first: number; count: number }[]) {
      for (let row = Math.min(first + count, before) - 1; row >= first; row--) yield row;
    }
  }

  /** The lines of a message, in the order in which they came. */
  linesOf(row: number): string[] {
    const text = this.#block(row);
    const parts = this.#statements.later.all(row) as { block: number; place: number }[];
    const later = parts.map(({ block, place }) => {
      const { lines } = this.#statements.laterBlock.get(block) as { lines: Uint8Array };
      return unpack(lines)[place] ?? "";
    });
    return [text, ...later].filter((one) => one !== "").flatMap((one) => one.split("\n"));
  }

  #block(row: number): string {
    if (this.#read === null || row < this.#read.first || row >= this.#read.first + this.#read.messages.length) {
      const found = this.#statements.block.get(row) as { first: number; lines: Uint8Array } | undefined;
      if (found === undefined) return "";
      this.#read = { first: found.first, messages: unpack(found.lines) };
    }
    return this.#read.messages[row - this.#read.first] ?? "";
  }

  /** What was read last is not what is there any more. */
  forget(): void {
    this.#read = null;
  }

  #readRuns(): PostingRuns | null {
    const sorted = this.#database.prepare("SELECT 1 FROM firsts LIMIT 1").get() !== undefined;
    if (sorted) return null;
    const runs = new PostingRuns();
    for (const { postings } of this.#database.prepare("SELECT postings FROM runs ORDER BY id").iterate()) {
      runs.add(floatsOf(postings as Uint8Array));
    }
    return runs;
  }

  #transaction(run: () => void): void {
    this.#read = null;
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      run();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#forms = null;
      try {
        this.#database.exec("ROLLBACK");
      } catch {
        // SQLite has done so itself.
      }
      throw error;
    }
  }

  /** Closes the file; what is in its log is in it then. */
  close(): void {
    this.#database.close();
  }
}

/** Later than any time that is recorded. */
const MAX_TIME = 8.64e15;

function openDatabase(path: string, logPages: number): DatabaseSync {
  Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
  const database = new DatabaseSync(path);
  try {
    // One isolate at a time, and no shared-memory file. An isolate that was replaced may need a moment to let go of it.
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA locking_mode = EXCLUSIVE");
    database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    database.exec(`PRAGMA wal_autocheckpoint = ${logPages}; PRAGMA journal_size_limit = ${logPages * PAGE_BYTES}`);
    database.exec("PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON");
    const version = Number((database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);
    if (version > SEGMENT_VERSION) {
      const text = `is of format ${version}, this program knows formats up to ${SEGMENT_VERSION}`;
      throw new UnusableSegment(text, { newer: true });
    }
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${SEGMENT_VERSION}; COMMIT`);
    return database;
  } catch (error) {
    database.close();
    throw unusable(error);
  }
}

function prepare(database: DatabaseSync): Statements {
  return {
    block: database.prepare("SELECT first, lines FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1"),
    addBlock: database.prepare("INSERT INTO blocks VALUES (?, ?, ?, ?, ?)"),
    addLaterBlock: database.prepare("INSERT INTO later_blocks (lines) VALUES (?)"),
    addLater: database.prepare("INSERT INTO later VALUES (?, ?, ?)"),
    later: database.prepare("SELECT block, place FROM later WHERE message = ? ORDER BY block, place"),
    laterBlock: database.prepare("SELECT lines FROM later_blocks WHERE id = ?"),
    addRun: database.prepare("INSERT INTO runs (postings) VALUES (?)"),
    page: database.prepare("SELECT postings FROM pages WHERE first = ?"),
    firsts: database.prepare("SELECT postings FROM firsts"),
    addFirsts: database.prepare("INSERT INTO firsts (postings) VALUES (?)"),
    addPage: database.prepare("INSERT OR IGNORE INTO pages VALUES (?, ?)"),
    laterPostings: database.prepare("SELECT posting FROM later_postings WHERE posting >= ? AND posting < ?"),
    addLaterPosting: database.prepare("INSERT OR IGNORE INTO later_postings VALUES (?)"),
    addForm: database.prepare("INSERT OR IGNORE INTO forms VALUES (?)"),
    forms: database.prepare("SELECT form FROM forms"),
    addOpen: database.prepare("INSERT OR IGNORE INTO open VALUES (?)"),
    removeOpen: database.prepare("DELETE FROM open WHERE message = ?"),
    open: database.prepare("SELECT message FROM open WHERE message < ? ORDER BY message DESC"),
    spans: database.prepare(
      "SELECT first, count FROM blocks WHERE since <= ? AND until >= ? AND first < ? ORDER BY first DESC",
    ),
  };
}

/** SQLite's word for what is wrong with a file; what is wrong with the disk stays as it is. */
export function unusable(error: unknown): unknown {
  if (error instanceof UnusableSegment || !(error instanceof Error)) return error;
  const damaged =
    /malformed|not a database|no such (?:table|column)|has no column|datatype mismatch|ZSTD|[Dd]ecompress|[Cc]orrupt|unsupported file format|already exists/;
  return damaged.test(`${(error as { code?: string }).code ?? ""} ${error.message}`)
    ? new UnusableSegment(`is damaged: ${error.message}`, { newer: false })
    : error;
}

/** Messages of lines, as they are stored. */
function pack(messages: readonly (readonly string[])[]): Uint8Array {
  const bytes = encoder.encode(messages.map((lines) => lines.join("\n")).join("\n\n"));
  return new Uint8Array(zstdCompressSync(bytes, FAST));
}

function unpack(bytes: Uint8Array): string[] {
  return decoder.decode(zstdDecompressSync(bytes, { maxOutputLength: MAX_BLOCK_BYTES })).split("\n\n");
}

function bytesOf(postings: Float64Array): Uint8Array {
  return new Uint8Array(postings.buffer, postings.byteOffset, postings.byteLength);
}

/** A copy: what the database gives is nowhere in particular. */
function floatsOf(bytes: Uint8Array): Float64Array {
  return new Float64Array(bytes.slice().buffer, 0, Math.floor(bytes.byteLength / 8));
}

/** Sorted, the greatest first, each once. */
function descending(rows: number[]): number[] {
  const sorted = Float64Array.from(rows).sort().reverse();
  return Array.from(sorted.filter((row, at) => at === 0 || row !== sorted[at - 1]));
}
