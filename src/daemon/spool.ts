/**
 * Whose the spool is: it is handed to the user of the queue's process when root starts the daemon with two users, and back to root when all runs in one
 * process. Each step can be interrupted, and the next start goes on with it. The user of the queue may be in an attacker's hands: no link of theirs is
 * followed, and no file that has another name elsewhere changes its owner.
 */

import { lchownSync } from "node:fs";
import { systemReason } from "../events/mod.ts";
import { Fatal } from "./fatal.ts";

/** Users reach the folder `offline` for mail that waits, and see nothing else. */
export const SPOOL_MODE = 0o711;
/** What stays root's: mail that users leave while no daemon runs, and the secret behind made-up salts. */
const ROOTS: ReadonlySet<string> = new Set(["offline", "scram.key"]);
/** Folders below the spool: `import`, one per message in it, and one more to spare. */
const MAX_DEPTH_FOLDERS = 4;

/** A user with its group. */
export interface SpoolOwner {
  readonly uid: number;
  readonly gid: number;
}

const ROOT: SpoolOwner = { uid: 0, gid: 0 };

/** lchown(2), which follows no link. A test interrupts it. */
type Chown = (path: string, owner: SpoolOwner) => void;

interface HandOver {
  readonly chown: Chown;
  readonly to: SpoolOwner;
  /** From whom it may be taken. */
  readonly from: ReadonlySet<number>;
}

/**
 * Makes the spool at `path`, and all in it but what is root's, the property of `to`. It is root's meanwhile, so that nobody can change what was looked at;
 * it is handed over last. `owners` are users who may have had it before. Only root may call this. Throws Fatal when the folder is a third user's, or something in it cannot be handed over.
 */
export function handOverSpool(
  path: string,
  to: SpoolOwner,
  owners: readonly number[],
  chown: Chown = changeOwner,
): void {
  try {
    handOver(path, { chown, to, from: new Set([0, to.uid, ...owners]) });
  } catch (error) {
    if (error instanceof Fatal) throw error;
    throw new Fatal(
      `cannot hand the spool ${path} over to uid ${to.uid}: ${
        systemReason(error)
      }: look at its file system and owner, or start smtpd with --one-user`,
    );
  }
}

function changeOwner(path: string, { uid, gid }: SpoolOwner): void {
  lchownSync(path, uid, gid);
}

function handOver(path: string, hand: HandOver): void {
  const { chown, to } = hand;
  const folder = Deno.realPathSync(path);
  const top = Deno.lstatSync(folder);
  if (!hand.from.has(top.uid!)) {
    throw new Fatal(
      `the spool ${folder} belongs to another user (uid ${top.uid}), who decides what is delivered and run`,
    );
  }
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => !ROOTS.has(name));
  if (top.uid === to.uid && names.every((name) => isDone(`${folder}/${name}`, hand))) {
    return Deno.chmodSync(folder, SPOOL_MODE);
  }
  // First of all it is closed to whoever had it; what its files are is looked at only then.
  if (top.uid !== 0) chown(folder, ROOT);
  for (const { name } of Deno.readDirSync(folder)) {
    if (!ROOTS.has(name)) handEntry(`${folder}/${name}`, hand, 0);
  }
  Deno.chmodSync(folder, SPOOL_MODE);
  chown(folder, to);
}

/** Nothing is left to do, as at most starts. What is inside of a folder of root's may still be another's after an interruption. */
function isDone(path: string, { to, from }: HandOver): boolean {
  const info = look(path);
  if (info === null || !from.has(info.uid!)) return true;
  return info.uid === to.uid && !(info.isDirectory && to.uid === 0);
}

/** Hands over one entry, of which root owns the folder that it stands in. */
function handEntry(path: string, hand: HandOver, depth: number): void {
  const info = look(path);
  if (info === null) return;
  const { chown, to, from } = hand;
  const ofUser = info.uid !== 0 && from.has(info.uid!);
  // What is a third user's beside the queue is not the queue's; below, only root can have put it there.
  if (depth === 0 && info.uid !== 0 && !ofUser) return;
  if (info.isDirectory) return handFolder(path, info, hand, depth);
  if (!info.isFile) {
    // Whoever opens a link or a pipe does it with their own rights; root does not open one that a user has left there.
    if (to.uid !== 0 || !ofUser) return;
    throw new Fatal(`${path} is no file, and the user of the queue has left it there: remove it`);
  }
  if (info.uid === to.uid) return;
  if (info.nlink !== 1 && !ofUser) {
    throw new Fatal(
      `${path} has another name elsewhere, and would change its owner there too: put a copy in its place`,
    );
  }
  chown(path, to);
  if (to.uid === 0) closeToOthers(path, info);
}

/** A folder is root's while what is in it is handed over. */
function handFolder(path: string, info: Deno.FileInfo, hand: HandOver, depth: number): void {
  const { chown, to } = hand;
  if (info.uid === to.uid && to.uid !== 0) return;
  if (depth >= MAX_DEPTH_FOLDERS) throw new Fatal(`${path} lies too deep for a folder of the spool: move it away`);
  if (info.uid !== 0) {
    chown(path, ROOT);
    closeToOthers(path, info);
  }
  for (const { name } of Deno.readDirSync(path)) handEntry(`${path}/${name}`, hand, depth + 1);
  if (to.uid !== 0) chown(path, to);
}

function closeToOthers(path: string, { mode }: Deno.FileInfo): void {
  if ((mode! & 0o077) !== 0) Deno.chmodSync(path, mode! & 0o700);
}

/** Null for what has gone meanwhile. */
function look(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return null;
  }
}
