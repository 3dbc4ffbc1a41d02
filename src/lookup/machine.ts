/** The lookup isolate's way to the disk: table files, include files, passwd(5). The only file here that reads anything. */

import { parseTableFile } from "../config/mod.ts";
import type { LookupSettings } from "../isolate/mod.ts";
import { parseTargets } from "../tables/mod.ts";
import { SystemAccounts } from "./accounts.ts";
import type { Machine } from "./world.ts";

/** System accounts; the isolate may read this file. */
export const PASSWD = "/etc/passwd";
/** Largest file that is read whole, in bytes: the isolate shares the process's memory. */
const MAX_FILE_BYTES = 64 << 20;
/** Largest include file. */
const MAX_INCLUDE_BYTES = 1 << 20;

export function openMachine(): Machine {
  const file = { read: () => readBounded(PASSWD, MAX_FILE_BYTES), stamp: () => stampOf(PASSWD) };
  return {
    accounts: new SystemAccounts(file, () => performance.now()),
    readText: (path) => readBounded(path, MAX_INCLUDE_BYTES),
    readTable(name, path) {
      try {
        const parsed = parseTableFile(readBounded(path, MAX_FILE_BYTES));
        if (parsed.ok) return { name, kind: parsed.kind, entries: parsed.entries, path };
        return { error: `${parsed.line === null ? path : `${path}:${parsed.line}`} ${parsed.message}` };
      } catch (error) {
        return { error: `${path}: ${error instanceof Error ? error.message : error}` };
      }
    },
  };
}

/**
 * Every file that the isolate may have to read: the permission to read these, and no others, is given when it starts. An include that is
 * written into an alias file later needs a restart of the daemon; until then it is logged as unreadable.
 */
export function lookupFiles(settings: LookupSettings): string[] {
  const files = new Set([PASSWD]);
  for (const { path } of Object.values(settings.tables)) if (path !== null) files.add(path);
  for (const action of Object.values(settings.actions)) {
    const mapping = action.kind === "local" ? action.alias ?? action.virtual : null;
    for (const [, value] of settings.tables[mapping ?? ""]?.entries ?? []) {
      for (const target of parseTargets(value).targets) if (target.type === "include") files.add(target.path);
    }
  }
  return [...files];
}

function readBounded(path: string, limit: number): string {
  const { size, isFile } = Deno.statSync(path);
  if (!isFile) throw new Error("Not a regular file");
  if (size > limit) throw new Error(`Larger than ${limit} bytes`);
  return Deno.readTextFileSync(path);
}

function stampOf(path: string): string {
  const { mtime, size, ino } = Deno.statSync(path);
  return `${mtime?.getTime()} ${size} ${ino}`;
}
