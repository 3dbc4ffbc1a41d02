/** Reads the rows of a damaged table that can be read, in order, and finds where it goes on after a gap. Changes nothing. */

import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { databaseFault } from "../store/disk_errors.ts";

/** A table and the one or two columns, of 32 bits each if there are two, that its rows are found by. */
export interface Place {
  readonly name: string;
  readonly key: readonly [string] | readonly [string, string];
}

export const TABLES: readonly Place[] = [
  { name: "messages", key: ["id"] },
  { name: "envelopes", key: ["message", "id"] },
  { name: "chunks", key: ["key"] },
  { name: "loose", key: ["message"] },
  { name: "keys", key: ["id"] },
  { name: "damaged", key: ["message", "id"] },
];

/** Rows read at once, of which each may hold a chunk of a body. */
const BATCH = 16;
const HALF = 32n;
const LOW = 0xffff_ffffn;
/** Above every key. */
const END = 1n << 64n;

type Row = Record<string, SQLInputValue>;

export class Reader {
  readonly #select: StatementSync;
  readonly #keys: readonly string[];
  readonly #columns: readonly string[];
  readonly insertSql: string;
  /** Where to read on: the key as a number, or both as one of 64 bits. */
  #at = 0n;

  private constructor(select: StatementSync, keys: readonly string[], columns: readonly string[], insertSql: string) {
    this.#select = select;
    this.#columns = columns;
    this.#keys = keys;
    this.insertSql = insertSql;
  }

  /** Reads those columns that both databases have. Null when the table is not there or cannot be read at all. */
  static open(source: DatabaseSync, target: DatabaseSync, { name, key }: Place): Reader | null {
    const columnsOf = (database: DatabaseSync) =>
      (database.prepare(`SELECT name FROM pragma_table_info('${name}')`).all() as { name: string }[]).map((row) =>
        row.name
      );
    const known = columnsOf(source);
    if (known.length === 0) return null;
    const columns = columnsOf(target).filter((column) => known.includes(column));
    const from = key.length === 1 ? `${key[0]} >= ?` : `(${key.join(", ")}) >= (?, ?)`;
    const list = columns.join(", ");
    const select = source.prepare(`SELECT ${list} FROM ${name} WHERE ${from} ORDER BY ${key.join(", ")} LIMIT ?`);
    // A damaged number may be larger than one of ours.
    select.setReadBigInts(true);
    const places = columns.map(() => "?").join(", ");
    return new Reader(select, key, columns, `INSERT OR IGNORE INTO ${name} (${list}) VALUES (${places})`);
  }

  /** The row as `insertSql` takes it. */
  valuesOf(row: Row): SQLInputValue[] {
    return this.#columns.map((column) => row[column]!);
  }

  /** The next rows; "gap" when some could not be read, and the reader stands behind them; null at the end. */
  next(): Row[] | "gap" | null {
    if (this.#at >= END) return null;
    const rows = this.#read(this.#at, BATCH) ?? this.#read(this.#at, 1);
    if (rows === null) {
      this.#at = this.#behindGap();
      return "gap";
    }
    if (rows.length === 0) return null;
    this.#at = this.#placeOf(rows[rows.length - 1]!) + 1n;
    return rows;
  }

  /** The place where reading goes on: looked for in steps that double, then between the last two. */
  #behindGap(): bigint {
    let bad = this.#at;
    let good = END;
    for (let step = 1n; this.#at + step < END; step *= 2n) {
      const place = this.#at + step;
      if (this.#read(place, 1) !== null) {
        good = place;
        break;
      }
      bad = place;
    }
    while (good - bad > 1n) {
      const middle = (good + bad) / 2n;
      if (this.#read(middle, 1) === null) bad = middle;
      else good = middle;
    }
    return good;
  }

  /** Null when the database does not say. */
  #read(place: bigint, limit: number): Row[] | null {
    const key = this.#keys.length === 1 ? [place] : [place >> HALF, place & LOW];
    if (this.#keys.length === 1 && place >= END / 2n) return null;
    try {
      return this.#select.all(...key, limit) as unknown as Row[];
    } catch (error) {
      if (databaseFault(error) === null) throw error;
      return null;
    }
  }

  #placeOf(row: Row): bigint {
    const [first, second] = this.#keys.map((column) => row[column] as bigint);
    return second === undefined ? first! : (first! << HALF) + second;
  }
}
