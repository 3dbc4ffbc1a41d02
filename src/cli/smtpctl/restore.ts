/** `smtpctl restore FOLDER`: puts back what backup has copied, where there is no queue yet. Checks all of it first, and writes nothing if one file is wrong. */

import { chownSync, lstatSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Environment } from "../../config/mod.ts";
import { controlSocketPath, spoolPath } from "../../config/paths.ts";
import { connectControl, NotRunning } from "../../control/mod.ts";
import { safeLine, systemReasonAt } from "../../events/mod.ts";
import { type Clock, systemClock } from "../../clock.ts";
import { Progress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import { FILES_COPY, type KeptFile, readManifest, SPOOL_COPY } from "./backup_manifest.ts";
import { copyFile, hashFile, syncFolders } from "./kept_files.ts";

/** Of the spool, as the daemon makes it. */
const SPOOL_MODE = 0o711, OFFLINE_MODE = 0o1733;
/** Files that differ which are named before "and others". */
const NAMED = 5;

export interface RestoreOptions {
  /** Files of the configuration that are there and differ are overwritten. */
  readonly force: boolean;
}

/** Returns the exit status. Rejects when nothing was put back, or not all. */
export async function restore(
  folder: string,
  { force }: RestoreOptions,
  env: Environment,
  terminal: Terminal,
  clock: Clock = systemClock,
): Promise<number> {
  const source = resolve(folder), spool = resolve(spoolPath(env));
  const { files } = readManifest(source);
  await needsNoDaemon(controlSocketPath(env));
  if (exists(`${spool}/queue.db`)) {
    throw new Error(`${spool} has a queue already: move it away first (mv ${spool} ${spool}.old)`);
  }
  const total = files.reduce((sum, { octets }) => sum + octets, 0);
  using progress = new Progress({ label: "restore", unit: "bytes", total: 2 * total, clock, terminal });
  const count = (octets: number) => progress.add(octets);
  for (const file of files) await check(source, file, count);
  const placed = files.map((file) => ({ file, to: placeOf(file, spool) }));
  const wanted = [];
  for (const one of placed) if (!await isThere(one)) wanted.push(one);
  const others = wanted.filter(({ to }) => exists(to)).map(({ to }) => to);
  if (others.length > 0 && !force) {
    const named = others.slice(0, NAMED).join(", ") + (others.length > NAMED ? " and others" : "");
    throw new Error(`these files are there and differ: ${named}; restore --force overwrites them`);
  }
  // What is taken for a queue comes last.
  wanted.sort((a, b) => Number(isQueue(a.file)) - Number(isQueue(b.file)));
  makeSpool(spool);
  makeFolders(placed, spool);
  for (const { file, to } of wanted) await put(`${source}/${file.copy}`, { file, to, spool }, count);
  progress.end();
  const same = files.length - wanted.length, there = same === 0 ? "" : `, ${same} were there already`;
  terminal.out(`${wanted.length} files put back${there}: check them with smtpd -n, and start smtpd\n`);
  return 0;
}

async function needsNoDaemon(socket: string): Promise<void> {
  try {
    (await connectControl(socket)).close();
  } catch (error) {
    if (error instanceof NotRunning) return;
    throw error;
  }
  throw new Error("smtpd is running: stop it first (smtpctl stop)");
}

async function check(source: string, { copy, sha256 }: KeptFile, count: (octets: number) => void): Promise<void> {
  let hash: string;
  try {
    hash = await hashFile(`${source}/${copy}`, count);
  } catch (error) {
    throw new Error(`${source}/${copy} cannot be read: ${systemReasonAt(error)}; nothing was put back`);
  }
  if (hash !== sha256) {
    throw new Error(`${source}/${copy} is not as it was copied (its SHA-256 is another); nothing was put back`);
  }
}

function placeOf({ copy }: KeptFile, spool: string): string {
  if (copy.startsWith(`${SPOOL_COPY}/`)) return `${spool}/${copy.slice(SPOOL_COPY.length + 1)}`;
  return copy.slice(FILES_COPY.length);
}

/** The log of the database counts only beside the database. */
function isQueue({ copy }: KeptFile): boolean {
  return copy === `${SPOOL_COPY}/queue.db`;
}

/** True when the file is there as it is to be. */
async function isThere({ file, to }: { readonly file: KeptFile; readonly to: string }): Promise<boolean> {
  if (!exists(to)) return false;
  return await hashFile(Deno.realPathSync(to)) === file.sha256;
}

function makeSpool(spool: string): void {
  Deno.mkdirSync(spool, { recursive: true, mode: SPOOL_MODE });
  Deno.chmodSync(spool, SPOOL_MODE);
}

/** Makes the folders that are missing. Where all files are for their owner alone, as keys are, so is the folder. */
function makeFolders(placed: readonly { readonly file: KeptFile; readonly to: string }[], spool: string): void {
  const shared = new Set(
    placed.filter(({ file }) => (parseInt(file.mode, 8) & 0o077) !== 0).map(({ to }) => dirname(to)),
  );
  for (const { to } of placed) {
    const folder = dirname(to), inSpool = to.startsWith(`${spool}/`);
    if (exists(folder)) continue;
    try {
      if (!inSpool) Deno.mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
      Deno.mkdirSync(folder, { recursive: true, mode: inSpool || !shared.has(folder) ? 0o700 : 0o755 });
    } catch (error) {
      throw new Error(`cannot make ${safeLine(folder)}: ${systemReasonAt(error)}`);
    }
  }
}

/** Puts one file in place by a rename, with the permissions that it had. Root gives mail that waits in `offline` to whose it was; all else is root's. */
async function put(
  from: string,
  { file, to, spool }: { readonly file: KeptFile; readonly to: string; readonly spool: string },
  count: (octets: number) => void,
): Promise<void> {
  const target = exists(to) ? Deno.realPathSync(to) : to, folder = dirname(target), partial = `${target}.restored`;
  try {
    if (folder === `${spool}/offline`) Deno.chmodSync(folder, OFFLINE_MODE);
    // What a restore that was killed has left.
    if (exists(partial)) Deno.removeSync(partial);
    await copyFile(from, partial, { onPiece: count });
    if (folder === `${spool}/offline` && Deno.uid() === 0) chownSync(partial, file.uid, file.gid);
    Deno.chmodSync(partial, parseInt(file.mode, 8));
    Deno.renameSync(partial, target);
    syncFolders(folder, folder);
  } catch (error) {
    throw new Error(`cannot put back ${safeLine(target)}: ${systemReasonAt(error)}`);
  }
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
