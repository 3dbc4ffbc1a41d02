/** The lookup isolate's way to the disk: table files and databases, include files, passwd(5). With sqlite.ts the only file here that reads. */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import type { LookupSettings } from "../protocol/mod.ts";
import { parseTargets } from "../tables/mod.ts";
import { SystemAccounts } from "./accounts.ts";
import { MainFile, type MainFiles } from "./main_file.ts";
import { openSqlite } from "./sqlite.ts";
import type { Machine } from "./lookup_engine.ts";
import { systemClock } from "../clock.ts";

/** System accounts; the isolate may read this file. */
export const PASSWD = "/etc/passwd";
/** Largest account file that is read whole, in bytes: the isolate shares the process's memory. */
const MAX_PASSWD_BYTES = 64 << 20;
/** Largest include file. */
const MAX_INCLUDE_BYTES = 1 << 20;

/**
 * Returns what lookup sees of the machine: its accounts, the files of tables, SQLite. Each reads when it is asked; nothing throws before. With `main`,
 * it reads what this isolate may not.
 */
export function openMachine(main?: MainFiles): Machine {
  const accounts = {
    read: () => readText(PASSWD, MAX_PASSWD_BYTES),
    stamp: () => stampOf(PASSWD),
    ...main !== undefined && { readByMain: () => textByMain(main, PASSWD, MAX_PASSWD_BYTES) },
  };
  return {
    accounts: new SystemAccounts(accounts, systemClock.steady),
    readText: (path) => readText(path, MAX_INCLUDE_BYTES),
    file: (path) => {
      const own = { read: () => readTableBytes(path), stamp: () => stampOf(path) };
      return main === undefined ? own : new MainFile({ path, limit: LANGUAGE_LIMITS.tableFileBytes, own, main });
    },
    ...main !== undefined && { readByMain: (path) => textByMain(main, path, MAX_INCLUDE_BYTES) },
    sqlite: openSqlite,
  };
}

/** The files that the isolate reads itself: the permission to read these, and no others, is given when it starts. */
export function lookupFiles(settings: LookupSettings): string[] {
  const closed = new Set(settings.closedFiles);
  return [PASSWD, ...tableFilesOf(settings).filter((path) => !closed.has(path))];
}

/**
 * Every file that the tables of the isolate may have to be read from, by it or by main. An include that is
 * written into an alias file later needs a reload; until then it is logged as unreadable.
 */
export function tableFilesOf(settings: Pick<LookupSettings, "tables" | "tableFiles" | "actions">): string[] {
  const files = new Set<string>();
  for (const table of Object.values(settings.tableFiles)) for (const path of table.files) files.add(path);
  for (const action of Object.values(settings.actions)) {
    const mapping = action.kind === "local" ? action.alias ?? action.virtual ?? "" : "";
    const values = settings.tables[mapping]?.entries.map(([, value]) => value) ?? [];
    for (const value of [...values, ...settings.tableFiles[mapping]?.includes ?? []]) {
      for (const target of parseTargets(value).targets) if (target.type === "include") files.add(target.path);
    }
  }
  return [...files];
}

/** The whole of a table's file or database. Throws an Error that says why not. */
export function readTableBytes(path: string): Uint8Array {
  checkSize(path, LANGUAGE_LIMITS.tableFileBytes);
  return Deno.readFileSync(path);
}

async function textByMain(main: MainFiles, path: string, limit: number): Promise<string> {
  return new TextDecoder().decode((await main.tableFile(path, limit)).octets);
}

function readText(path: string, limit: number): string {
  checkSize(path, limit);
  return Deno.readTextFileSync(path);
}

function checkSize(path: string, limit: number): void {
  const { size, isFile } = Deno.statSync(path);
  if (!isFile) throw new Error("Not a regular file");
  if (size > limit) throw new Error(`Larger than ${limit} bytes`);
}

function stampOf(path: string): string {
  const { mtime, size, ino } = Deno.statSync(path);
  return `${mtime?.getTime()} ${size} ${ino}`;
}
