/**
 * `smtpctl backup FOLDER`: a copy of the queue, the configuration and the keys while mail flows. The queue does not write its database file
 * meanwhile, so that it can be copied as it is (src/queue/backup.ts). Without a daemon the files are copied with their log.
 */

import { DatabaseSync } from "node:sqlite";
import { dirname, resolve } from "node:path";
import type { Environment } from "../../config/mod.ts";
import { controlSocketPath, spoolPath } from "../../config/paths.ts";
import { findConfig } from "../../config/search.ts";
import { askControl, type ControlRequest, NotRunning } from "../../control/mod.ts";
import { safeLine, systemReasonAt } from "../../events/mod.ts";
import { type Clock, systemClock } from "../../clock.ts";
import { Progress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import { FILES_COPY, type KeptFile, MANIFEST, manifestText, SPOOL_COPY } from "./backup_manifest.ts";
import { copyFile, type OnPiece, syncFolders } from "./kept_files.ts";

/** Folders of a backup are for their owner alone. */
const FOLDER_MODE = 0o700;
/** The queue hears of the copy in this time, in ms. */
const KEEP_MS = 5_000;
/** Of the spool, beside the database: secrets and records that are made once, and mail that waits for a daemon. */
const SPOOL_FILES = ["scram.key", "imported"], SPOOL_FOLDERS = ["offline", "import"];

export interface BackupOptions {
  readonly clock?: Clock;
  /** The configuration while no daemon runs, which names its own. */
  readonly configFile?: string;
}

/** Takes the backup and returns the exit status. Rejects when there is none; what was written is taken away then. */
export async function backup(
  folder: string,
  env: Environment,
  terminal: Terminal,
  { clock = systemClock, configFile = findConfig(null).file }: BackupOptions = {},
): Promise<number> {
  const target = resolve(folder), spool = resolve(spoolPath(env));
  if (`${target}/`.startsWith(`${spool}/`)) throw new Error(`${folder} is in the spool: name a folder elsewhere`);
  const made = makeEmpty(target);
  try {
    const copy = new BackupCopy({ target, spool, socket: controlSocketPath(env), clock, terminal });
    const paths = await copy.queue();
    await copy.restOfSpool();
    for (const path of paths ?? await configured(configFile, env)) await copy.path(path);
    const { files, octets } = copy.finish();
    const size = octets < 1024 ** 2 ? `${Math.ceil(octets / 1024)} KiB` : `${(octets / 1024 ** 2).toFixed(1)} MiB`;
    terminal.out(`${files} file${files === 1 ? "" : "s"}, ${size}, backed up to ${safeLine(target)}\n`);
    return 0;
  } catch (error) {
    takeAway(target, made);
    throw error;
  }
}

/** Makes the folder, or takes an empty one. Returns the topmost folder that was made; null for none. */
function makeEmpty(target: string): string | null {
  let top: string | null = null;
  for (let at = target; !exists(at); at = dirname(at)) top = at;
  Deno.mkdirSync(target, { recursive: true, mode: FOLDER_MODE });
  if (!Deno.readDirSync(target)[Symbol.iterator]().next().done) {
    throw new Error(`${target} is not empty: a backup wants a folder of its own`);
  }
  Deno.chmodSync(target, FOLDER_MODE);
  return top;
}

function takeAway(target: string, made: string | null): void {
  for (const { name } of Deno.readDirSync(target)) Deno.removeSync(`${target}/${name}`, { recursive: true });
  if (made !== null) Deno.removeSync(target);
}

/** What the configuration names while no daemon runs. Only then it is read here. */
async function configured(file: string, env: Environment): Promise<readonly string[]> {
  return (await import("../../daemon/mod.ts")).filesToKeepOf(file, env);
}

interface BackupPlace {
  readonly target: string;
  readonly spool: string;
  readonly socket: string;
  readonly clock: Clock;
  readonly terminal: Terminal;
}

/** What the daemon says at the beginning. */
interface Begun {
  readonly paths: readonly string[];
  readonly hold: number;
  readonly octets: number;
}

class BackupCopy {
  readonly #place: BackupPlace;
  readonly #made: string;
  readonly #files: KeptFile[] = [];
  readonly #known = new Set<string>();

  constructor(place: BackupPlace) {
    this.#place = place;
    this.#made = new Date(place.clock.now()).toISOString();
  }

  /** Copies the database. Returns the paths that belong to the configuration of the daemon; null when none runs. */
  async queue(): Promise<readonly string[] | null> {
    const { spool } = this.#place;
    const begun = await this.#begin();
    if (begun !== null) {
      const { paths, hold, octets } = begun;
      try {
        await this.#database(octets, () => this.#step("keep", hold));
      } catch (error) {
        // The next one need not wait until this one is given up.
        await this.#step("end", hold).catch(() => {});
        throw error;
      }
      await this.#step("end", hold);
      return paths;
    }
    if (!exists(`${spool}/queue.db`)) throw new Error(`there is no queue in ${spool}, and smtpd is not running`);
    this.#needsNoDaemon();
    for (const name of ["queue.db", "queue.db-wal"]) {
      if (exists(`${spool}/${name}`)) await this.#copy(`${spool}/${name}`, `${SPOOL_COPY}/${name}`);
    }
    if (await this.#answers()) throw new Error("smtpd was started while its files were copied: try again");
    return null;
  }

  /** The database file, as long as it was at the beginning. The queue is told now and then that it is still being copied. */
  async #database(octets: number, keep: () => Promise<void>): Promise<void> {
    const { clock, terminal, spool } = this.#place;
    using progress = new Progress({ label: "backup", unit: "bytes", total: octets, clock, terminal });
    let keptAt = clock.steady();
    await this.#copy(`${spool}/queue.db`, `${SPOOL_COPY}/queue.db`, async (piece) => {
      progress.add(piece);
      if (clock.steady() - keptAt < KEEP_MS) return;
      keptAt = clock.steady();
      await keep();
    }, octets);
    progress.end();
  }

  /** Null when no daemon runs. */
  async #begin(): Promise<Begun | null> {
    const paths: string[] = [];
    try {
      for await (const answer of this.#ask({ do: "backup", step: "begin", hold: 0 })) {
        if ("line" in answer) paths.push(answer.line);
        else if ("hold" in answer) return { paths, hold: answer.hold, octets: answer.octets };
        else if ("ok" in answer && !answer.ok) throw new Error(answer.error);
      }
    } catch (error) {
      if (error instanceof NotRunning) return null;
      throw error;
    }
    throw new Error("The daemon does not say what to copy");
  }

  /** Rejects when the daemon has ended meanwhile: it has written its database file then, perhaps while that was copied. */
  async #step(step: "keep" | "end", hold: number): Promise<void> {
    try {
      for await (const answer of this.#ask({ do: "backup", step, hold })) {
        if ("ok" in answer && !answer.ok) throw new Error(answer.error);
      }
    } catch (error) {
      if (error instanceof NotRunning) throw new Error("smtpd ended while its files were copied: try again");
      throw error;
    }
  }

  #ask(request: ControlRequest) {
    return askControl(this.#place.socket, request);
  }

  async #answers(): Promise<boolean> {
    try {
      for await (const _ of this.#ask({ do: "show-stats" })) break;
      return true;
    } catch (error) {
      return !(error instanceof NotRunning);
    }
  }

  /** A daemon with another control socket may have the spool. */
  #needsNoDaemon(): void {
    const { spool } = this.#place;
    const database = new DatabaseSync(`${spool}/queue.db`, { readOnly: true });
    try {
      database.prepare("PRAGMA user_version").get();
      database.prepare("SELECT count(*) FROM sqlite_schema").get();
    } catch (error) {
      if ((error as Error).message !== "database is locked") throw error;
      throw new Error(`another smtpd has ${spool}: name its control socket with SMTPD_SOCKET`);
    } finally {
      database.close();
    }
  }

  /** What else of the spool is to be kept. */
  async restOfSpool(): Promise<void> {
    const { spool } = this.#place;
    for (const name of SPOOL_FILES) {
      if (exists(`${spool}/${name}`)) await this.#copy(`${spool}/${name}`, `${SPOOL_COPY}/${name}`);
    }
    for (const name of SPOOL_FOLDERS) await this.#tree(`${spool}/${name}`, `${SPOOL_COPY}/${name}`, { lasting: false });
  }

  /** A file or folder of the configuration. A link is followed, and its file is kept under the name of the link. */
  async path(path: string): Promise<void> {
    if (!exists(path)) return;
    const real = Deno.realPathSync(path), copy = `${FILES_COPY}${resolve(path)}`;
    if (Deno.statSync(real).isDirectory) await this.#tree(real, copy, { lasting: true });
    else await this.#copy(real, copy);
  }

  /** The files below a folder. Those that are not `lasting` may go while this looks at them. */
  async #tree(folder: string, copy: string, { lasting }: { readonly lasting: boolean }): Promise<void> {
    if (!exists(folder)) return;
    for (const { name, isDirectory, isFile } of [...Deno.readDirSync(folder)]) {
      if (isDirectory) await this.#tree(`${folder}/${name}`, `${copy}/${name}`, { lasting });
      else if (isFile && (lasting || exists(`${folder}/${name}`))) {
        await this.#copy(`${folder}/${name}`, `${copy}/${name}`).catch((error) => {
          if (lasting || error.code !== "ENOENT") throw error;
        });
      }
    }
  }

  async #copy(from: string, copy: string, onPiece?: OnPiece, limit?: number): Promise<void> {
    if (this.#known.has(copy)) return;
    this.#known.add(copy);
    const to = `${this.#place.target}/${copy}`;
    Deno.mkdirSync(dirname(to), { recursive: true, mode: FOLDER_MODE });
    let copied;
    try {
      copied = await copyFile(from, to, {
        ...onPiece === undefined ? {} : { onPiece },
        ...limit === undefined ? {} : { limit },
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      throw Object.assign(new Error(`cannot copy ${from}: ${systemReasonAt(error)}`), {
        code: (error as NodeJS.ErrnoException).code,
      });
    }
    this.#files.push({ copy, ...copied });
  }

  /** Writes the manifest, with which it is a backup. Returns what was copied. */
  finish(): { readonly files: number; readonly octets: number } {
    const { target, spool } = this.#place;
    const files = this.#files.toSorted((a, b) => a.copy < b.copy ? -1 : 1);
    for (const folder of new Set(files.map(({ copy }) => dirname(`${target}/${copy}`)))) syncFolders(folder, target);
    const partial = `${target}/.${MANIFEST}`;
    {
      using file = Deno.openSync(partial, { createNew: true, write: true, mode: 0o600 });
      const text = new TextEncoder().encode(manifestText({ made: this.#made, spool, files }));
      for (let at = 0; at < text.length;) at += file.writeSync(text.subarray(at));
      file.syncSync();
    }
    Deno.renameSync(partial, `${target}/${MANIFEST}`);
    syncFolders(target, target);
    return { files: files.length, octets: files.reduce((sum, { octets }) => sum + octets, 0) };
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
