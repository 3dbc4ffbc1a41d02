/** makemap(8): builds a map file from text, or shows what is in one. What it writes are constant databases, see writeCdb(). */

import type { Environment } from "../../config/mod.ts";
import { systemReasonAt } from "../../events/mod.ts";
import { type DbRecord, openDb, writeCdb } from "../../tables/mod.ts";
import { getopt, guessInfo, type Options } from "../getopt.ts";
import { type MapEntry, type MapType, parseMapSource } from "./map_source.ts";
import { OutputClosed, processTerminal, type Terminal } from "../terminal.ts";
import { lettersOf, printInfo, usageOf } from "../usage.ts";

const USAGE = usageOf("makemap").trimEnd();
/** Largest source and largest map that are read, in octets: they are held in memory. */
const MAX_BYTES = 512 * 1024 * 1024;

/** Kinds of databases that scripts for other makemaps ask for: they get what smtpd reads, under the name that they expect. */
const OTHER_DATABASES = ["hash", "btree", "dbm"];

interface Job {
  readonly type: MapType;
  /** What ends a key, instead of a blank or a colon; null without one. */
  readonly delimiter: string | null;
  /** The kind of database that was asked for, if it is none that is written. */
  readonly otherDatabase: string | null;
  /** Source file, or the map to show; "-" for standard input. */
  readonly source: string;
  readonly output: string;
  readonly dump: boolean;
}

/** Runs makemap(8) and returns its exit status. */
export async function makemapMain(
  args: string[],
  _env: Environment,
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const options = getopt(args, lettersOf("makemap"));
  if (!options.ok) {
    if (options.info !== null) return printInfo("makemap", options.info, terminal);
    return complain(terminal, `makemap: ${options.text}\n${USAGE}`);
  }
  const job = readJob(options);
  if (typeof job === "string") return complain(terminal, job);
  try {
    if (job.dump) dump(job.source, terminal);
    else return await build(job, terminal);
    return 0;
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    const guess = error instanceof Deno.errors.NotFound ? guessInfo(job.source) ?? "" : "";
    return complain(terminal, `makemap: ${systemReasonAt(error)}${guess}`);
  }
}

/** What is to be done, or the text to print before exit status 1. */
function readJob({ given, operands }: Extract<Options, { ok: true }>): Job | string {
  // As sendmail's makemap is called: `makemap type map < text`.
  const foreign = operands.length === 2;
  const database = foreign ? operands[0]! : given.get("d") ?? "cdb";
  const otherDatabase = OTHER_DATABASES.includes(database) ? database : null;
  if (otherDatabase === null && database !== "cdb") {
    return `makemap: database type ${database}: cdb is written, and ${OTHER_DATABASES.join(", ")} are taken for it`;
  }
  const asked = given.get("t") ?? "plain";
  // As sendmail's makemap has it: what ends the keys.
  const delimiter = /^[^\w\s]$/.test(asked) ? asked : null;
  const type = delimiter === null ? asked : "plain";
  if (type !== "plain" && type !== "aliases" && type !== "set") return `makemap: unsupported type ${type}\n${USAGE}`;
  const aliasFile = /^AliasFile=(.+)$/.exec(given.get("O") ?? "")?.[1];
  const source = foreign ? "-" : operands[0] ?? aliasFile;
  if (source === undefined || operands.length > 2) return USAGE;
  const output = given.get("o") ?? (foreign ? `${operands[1]}.db` : source === "-" ? undefined : `${source}.db`);
  if (output === undefined) return "makemap: with standard input, say -o dbfile";
  return { type, delimiter, otherDatabase, source, output, dump: given.has("U") };
}

async function build({ type, delimiter, otherDatabase, source, output }: Job, terminal: Terminal): Promise<number> {
  const read = source === "-" ? { bytes: await terminal.input(MAX_BYTES), info: null } : readSource(source);
  const parsed = parseMapSource(new TextDecoder().decode(read.bytes), type, delimiter);
  if (!parsed.ok) {
    return complain(terminal, parsed.faults.map(({ line, message }) => `${source}:${line}: ${message}`).join("\n"));
  }
  if (otherDatabase !== null) {
    terminal.err(
      `makemap: ${output} is a constant database (cdb), which smtpd reads in place of ${otherDatabase}: say -d cdb\n`,
    );
  }
  if (parsed.entries.length === 0) terminal.err("makemap: warning: empty map\n");
  replaceMap(output, parsed.entries, read.info);
  return 0;
}

/** Writes a map in place of the one that is there: all of it, or the old one stays. Mode and owner are those of `like`. */
export function replaceMap(path: string, entries: readonly MapEntry[], like: Deno.FileInfo | null): void {
  replaceFile(path, writeCdb(entries.map(toRecord)), like);
}

/** Keys and values are stored with the NUL that ends them in C, as other programs expect. */
function toRecord({ key, value }: MapEntry): DbRecord {
  const encoder = new TextEncoder();
  return { key: encoder.encode(key + "\0"), value: encoder.encode(value + "\0") };
}

function dump(path: string, terminal: Terminal): void {
  const decoder = new TextDecoder();
  const text = (octets: Uint8Array) => decoder.decode(octets).replace(/\0$/, "");
  for (const { key, value } of openDb(readSource(path).bytes).records()) {
    terminal.out(`${text(key)}\t${text(value)}\n`);
  }
}

/** Locked while it is read: an editor that is about to replace it waits, or we say that it is busy. */
function readSource(path: string): { bytes: Uint8Array; info: Deno.FileInfo } {
  using file = Deno.openSync(path);
  const info = file.statSync();
  if (info.size > MAX_BYTES) throw new Error(`${path} is larger than ${MAX_BYTES} octets`);
  if (!file.tryLockSync(false)) throw new Error(`${path} is locked by another program`);
  const bytes = new Uint8Array(info.size);
  let size = 0;
  for (let read: number | null; size < bytes.length && (read = file.readSync(bytes.subarray(size))) !== null;) {
    size += read;
  }
  return { bytes: bytes.subarray(0, size), info };
}

/** All or nothing: a new file beside the old one takes its name once it is on disk. Mode and owner are those of the source. */
function replaceFile(path: string, bytes: Uint8Array, like: Deno.FileInfo | null): void {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    using file = Deno.openSync(temporary, { write: true, createNew: true, mode: 0o600 });
    for (let left = bytes; left.length > 0;) left = left.subarray(file.writeSync(left));
    if (like !== null && Deno.uid() === 0) Deno.chownSync(temporary, like.uid, like.gid);
    Deno.chmodSync(temporary, (like?.mode ?? 0o644) & 0o777);
    file.syncSync();
    Deno.renameSync(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // It was never made.
    }
    throw error;
  }
}

function complain(terminal: Terminal, text: string): number {
  terminal.err(`${text}\n`);
  return 1;
}
