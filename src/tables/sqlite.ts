/**
 * `sqlite:` tables: one query for each service, as table-sqlite(5) has them, put to a database that was opened for reading. The database is
 * injected; this file has the configuration's form and the meaning of the rows.
 */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { tableKey } from "../config/tablefile.ts";
import { logTrace, NO_OBSERVER, type Observer, systemReason } from "../events/mod.ts";
import { LookupError } from "./error.ts";
import type { OpenTable } from "./filetable.ts";
import { resultText, type Service, type ValueService } from "./table.ts";

/** What is used of a database. All throw an Error of SQLite's. */
export interface SqliteDatabase {
  /** Checks the text of a query. Values of a row come in the order of its columns. */
  prepare(sql: string): SqliteQuery;
  close(): void;
}

export interface SqliteQuery {
  /** Columns of a row. */
  readonly columns: number;
  /** The first row of the answer; null for none. */
  first(...values: string[]): unknown[] | null;
  all(...values: string[]): unknown[][];
}

/** Columns of the rows for each query. */
const QUERIES = {
  query_alias: 1,
  query_domain: 1,
  query_credentials: 2,
  query_netaddr: 1,
  query_userinfo: 3,
  query_source: 1,
  query_mailaddr: 1,
  query_addrname: 1,
  query_mailaddrmap: 1,
  query_relayhost: 1,
  query_string: 1,
  fetch_source: 1,
  fetch_relayhost: 1,
} as const;
type QueryName = keyof typeof QUERIES;

export interface SqliteConfig {
  /** Absolute path of the database. */
  readonly dbpath: string;
  readonly queries: Readonly<Partial<Record<QueryName, string>>>;
  /** Fetched lists are read again after so many fetches, and so many seconds. */
  readonly fetchRefresh: number;
  readonly fetchExpireSeconds: number;
}

const DEFAULT_REFRESH = 1000, DEFAULT_EXPIRE_SECONDS = 60;
/** Rows of one answer, and rows of a fetched list. */
const MAX_ROWS = 10_000;
/** Characters of an alias that is put together of several rows. */
const MAX_VALUE_CHARACTERS = 1 << 20;

/** Reads the file that describes a table. Throws an Error that names the line. */
export function parseSqliteConfig(path: string, text: string): SqliteConfig {
  const words = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const fail = (message: string) => new Error(`${path}:${index + 1} ${message}`);
    const [, key, value] = /^(\S+)\s+(\S.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw fail("missing value");
    if (key !== "dbpath" && !(key in QUERIES) && !/^fetch_(source|relayhost)_(refresh|expire)$/.test(key)) {
      throw fail(`unknown word "${key}"`);
    }
    if (/_(refresh|expire)$/.test(key) && !/^\d{1,9}$/.test(value)) throw fail(`"${key}" wants a number`);
    if (words.has(key)) throw fail(`"${key}" is already specified`);
    words.set(key, value);
  }
  const dbpath = words.get("dbpath");
  if (dbpath === undefined) throw new Error(`${path} names no dbpath`);
  if (!dbpath.startsWith("/")) throw new Error(`${path}: dbpath "${dbpath}" does not start with a slash`);
  const names = (Object.keys(QUERIES) as QueryName[]).filter((name) => words.has(name));
  const number = (suffix: string, otherwise: number) =>
    Number(words.get(`fetch_source_${suffix}`) ?? words.get(`fetch_relayhost_${suffix}`) ?? otherwise);
  return {
    dbpath,
    queries: Object.fromEntries(names.map((name) => [name, words.get(name)!])),
    fetchRefresh: number("refresh", DEFAULT_REFRESH),
    fetchExpireSeconds: number("expire", DEFAULT_EXPIRE_SECONDS),
  };
}

interface Fetched {
  readonly keys: readonly string[];
  next: number;
  left: number;
  readonly expiresAt: number;
}

export class SqliteTable implements OpenTable {
  readonly name: string;
  readonly kind = null;
  readonly size = null;
  readonly #database: SqliteDatabase;
  readonly #config: SqliteConfig;
  readonly #now: () => number;
  readonly #observer: Observer;
  readonly #queries = new Map<string, SqliteQuery>();
  readonly #fetched = new Map<string, Fetched>();

  /** Prepares every query; throws an Error for one that is wrong, and closes the database then. */
  constructor(
    name: string,
    config: SqliteConfig,
    database: SqliteDatabase,
    now: () => number,
    observer: Observer = NO_OBSERVER,
  ) {
    this.name = name;
    this.#config = config;
    this.#database = database;
    this.#now = now;
    this.#observer = observer;
    try {
      for (const [query, sql] of Object.entries(config.queries)) {
        const columns = QUERIES[query as QueryName];
        const prepared = prepare(database, query, sql);
        if (prepared.columns !== columns) {
          throw new Error(`${query}: the rows have ${prepared.columns} columns, ${columns} are needed`);
        }
        this.#queries.set(query, prepared);
      }
    } catch (error) {
      database.close();
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Is there a row? The query does the matching. */
  check(service: Service, key: string): boolean | LookupError {
    const rows = this.#ask(`query_${service}`, key, "first");
    const found = rows instanceof LookupError ? rows : rows.length > 0;
    this.#trace(`check ${service} "${key}"`, found);
    return found;
  }

  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    const rows = this.#ask(`query_${service}`, key, service === "alias" ? "all" : "first");
    const value = rows instanceof LookupError ? rows : rows.length === 0 ? null : this.#valueOf(rows);
    this.#trace(`lookup ${service} "${key}"`, value);
    return value;
  }

  /** The rows one after the other, again and again. They are read anew from time to time. */
  fetch(service: "relayhost" | "source" = "relayhost"): string | null | LookupError {
    let list = this.#fetched.get(service);
    if (list === undefined || list.left === 0 || this.#now() >= list.expiresAt) {
      const rows = this.#ask(`fetch_${service}`, null, "all");
      if (rows instanceof LookupError) return rows;
      const { fetchRefresh, fetchExpireSeconds } = this.#config;
      const expiresAt = this.#now() + fetchExpireSeconds * 1000;
      list = {
        keys: rows.map((row) => String(row[0])),
        next: list?.next ?? 0,
        left: Math.max(1, fetchRefresh),
        expiresAt,
      };
      this.#fetched.set(service, list);
    }
    list.left--;
    list.next %= Math.max(1, list.keys.length);
    const key = list.keys[list.next++] ?? null;
    this.#trace(`fetch ${service}`, key);
    return key;
  }

  /** Columns make one value; several rows of an alias are one list. */
  #valueOf(rows: unknown[][]): string | LookupError {
    let text = "";
    for (const row of rows) {
      if (row.some((column) => column === null)) return this.#error("a row has an empty column");
      text += (text === "" ? "" : ", ") + row.map(String).join(":");
      if (text.length > MAX_VALUE_CHARACTERS) return this.#error("an answer is too long");
    }
    return text;
  }

  /** All rows of an answer, or only the first. */
  #ask(name: string, key: string | null, wanted: "first" | "all"): unknown[][] | LookupError {
    const query = this.#queries.get(name);
    if (query === undefined) return this.#error(`the table has no ${name}`);
    if (key !== null && key.length > LANGUAGE_LIMITS.tableKey) {
      return this.#error("the key is longer than a key may be");
    }
    const values = key === null ? [] : [tableKey(key)];
    try {
      if (wanted === "first") {
        const row = query.first(...values);
        return row === null ? [] : [row];
      }
      const rows = query.all(...values);
      return rows.length > MAX_ROWS ? this.#error(`an answer has more than ${MAX_ROWS} rows`) : rows;
    } catch (error) {
      return this.#error(systemReason(error));
    }
  }

  #error(reason: string): LookupError {
    return new LookupError(`Table "${this.name}": ${reason}`);
  }

  #trace(question: string, result: boolean | string | null | LookupError): void {
    if (!this.#observer.traces("tables")) return;
    logTrace(this.#observer, "tables", `${this.name}: ${question} -> ${resultText(result)}`);
  }
}

function prepare(database: SqliteDatabase, name: string, sql: string): SqliteQuery {
  try {
    return database.prepare(sql);
  } catch (error) {
    throw new Error(`${name}: ${systemReason(error)}`);
  }
}
