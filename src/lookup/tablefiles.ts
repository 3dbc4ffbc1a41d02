/** Makes tables of the files that the configuration names. Reads nothing itself: the machine does. */

import type { TableFile } from "../config/mod.ts";
import { mayInclude, scanTableSteps } from "../config/tablefile.ts";
import type { Observer } from "../events/mod.ts";
import {
  countLineSteps,
  DbEntries,
  type DbFile,
  FileTable,
  openDb,
  type OpenTable,
  PackedEntries,
  parseSqliteConfig,
  PasswdTable,
  readPasswd,
  type SqliteDatabase,
  SqliteTable,
  Table,
  type WatchedFile,
} from "../tables/mod.ts";
import { type Clock, Turn } from "../clock.ts";

/** What is needed of the machine. */
export interface TableDisk {
  file(path: string): WatchedFile;
  /** Opens a database for reading. Throws an Error that says why not. */
  sqlite(path: string): SqliteDatabase;
}

export interface TableSurroundings {
  readonly disk: TableDisk;
  /** Splits `user+tag` where addresses are compared. */
  readonly delimiter: string;
  readonly observer: Observer;
  readonly warn: (text: string) => void;
  readonly clock: Pick<Clock, "steady" | "after">;
}

/** Returns the disk with files whose content is here when `fetched` has resolved, null for at once: what another isolate has to read is fetched. */
export function fetchTableFiles<Disk extends TableDisk>(
  tableFiles: Readonly<Record<string, TableFile>>,
  disk: Disk,
): { readonly disk: Disk; readonly fetched: Promise<unknown> | null } {
  const files = new Map(Object.values(tableFiles).map(({ path }) => [path, disk.file(path)]));
  const fetched = [...files.values()].flatMap((file) => file.fetch?.() ?? []);
  return {
    disk: { ...disk, file: (path: string) => files.get(path) ?? disk.file(path) },
    fetched: fetched.length === 0 ? null : Promise.all(fetched),
  };
}

/** A table that stays what it is while its content changes. */
export function openTableFile({ name, backend, kind, path }: TableFile, around: TableSurroundings): FileTable {
  const { disk, warn, clock } = around;
  const open = (bytes: Uint8Array) => openContent(name, backend, path, bytes, around);
  // Maps are replaced by makemap at any time, without notice to the daemon.
  const openSlowly = async (bytes: Uint8Array) => {
    const { kind, entries } = await readEntriesSlowly(path, bytes, clock);
    return new Table({ name, kind, entries }, around.delimiter, around.observer);
  };
  const slowly = backend === "file" ? { openSlowly } : {};
  return new FileTable({
    ...{ name, path, kind, file: disk.file(path), open, follow: backend === "db", now: clock.steady, warn },
    ...slowly,
  });
}

function openContent(
  name: string,
  backend: TableFile["backend"],
  path: string,
  bytes: Uint8Array,
  { disk, delimiter, observer, clock }: TableSurroundings,
): OpenTable {
  switch (backend) {
    case "file": {
      const { kind, entries } = readEntries(path, bytes);
      return new Table({ name, kind, entries }, delimiter, observer);
    }
    case "db":
      return new Table({ name, kind: "map", entries: new DbEntries(openDb(bytes)) }, delimiter, observer);
    case "passwd":
      return new PasswdTable(name, readPasswd(path, bytes), delimiter, observer);
    case "sqlite": {
      const config = parseSqliteConfig(path, new TextDecoder().decode(bytes));
      return new SqliteTable(name, config, disk.sqlite(config.dbpath), clock.steady, observer);
    }
  }
}

/** The entries of a static table's file. Throws an Error that names the line of the first mistake. */
function readEntries(path: string, bytes: Uint8Array): Read {
  const steps = readSteps(path, bytes);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Reads the same, and lets others have their turn every few milliseconds. */
async function readEntriesSlowly(
  path: string,
  bytes: Uint8Array,
  clock: Pick<Clock, "steady" | "after">,
): Promise<Read> {
  const turn = new Turn(TURN_MS, clock);
  const steps = readSteps(path, bytes);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    if (turn.over) await turn.giveWay();
  }
}

type Read = { readonly kind: "list" | "map"; readonly entries: PackedEntries };
const TURN_MS = 4;

function* readSteps(path: string, bytes: Uint8Array): Generator<undefined, Read> {
  const entries = new PackedEntries({ entries: yield* countLineSteps(bytes), bytes: bytes.length });
  const scan = yield* scanTableSteps(bytes, (keyStart, keyEnd, valueStart, valueEnd) => {
    entries.set(bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd));
  });
  if (!scan.ok) throw new Error(`${scan.line === null ? path : `${path}:${scan.line}`}: ${scan.message}`);
  entries.trim();
  return { kind: scan.kind, entries };
}

/** What a check of the configuration needs of a table that it cannot read itself. Throws an Error that says what is wrong. */
export function inspectTableFile(
  backend: "db" | "passwd" | "sqlite",
  path: string,
  disk: TableDisk,
): Pick<TableFile, "files" | "includes"> {
  const bytes = disk.file(path).read();
  switch (backend) {
    case "db":
      return { files: [path], includes: includesOf(openDb(bytes)) };
    case "passwd":
      readPasswd(path, bytes);
      return { files: [path], includes: [] };
    case "sqlite": {
      const config = parseSqliteConfig(path, new TextDecoder().decode(bytes));
      new SqliteTable("", config, disk.sqlite(config.dbpath), () => 0).close();
      // What SQLite keeps beside a database while it is written to.
      const { dbpath } = config;
      return { files: [path, dbpath, `${dbpath}-wal`, `${dbpath}-shm`, `${dbpath}-journal`], includes: [] };
    }
  }
}

/** Reads all records, so that a damaged file is found. */
function includesOf(db: DbFile): string[] {
  const includes: string[] = [];
  for (const { value } of db.records()) {
    if (mayInclude(value, 0, value.length)) includes.push(new TextDecoder().decode(value).replace(/\0$/, ""));
  }
  return includes;
}
