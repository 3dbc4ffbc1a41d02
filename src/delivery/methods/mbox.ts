/** Appending to a file in mbox format: system mailboxes (`action … mbox`) and file targets of aliases. Format in from_line.ts. */

import fs from "node:fs";
import { systemReason } from "../../events/mod.ts";
import type { Clock } from "../../clock.ts";
import { fromLine, FromQuoter } from "./from_line.ts";
import type { ActAs, Identity } from "../identity.ts";
import { LOCK_LIMIT_MS, type LockOptions, Mutexes, takeDotlock, takeFlock } from "./locks.ts";
import type { Delivered } from "../delivered.ts";
import { DeliveryError, EX, quoted } from "./sysexits.ts";

export interface MboxTarget {
  readonly kind: "mbox" | "file";
  readonly path: string;
  /** Sender of the From_ line. */
  readonly from: string;
}

export interface MboxOptions {
  readonly actAs: ActAs;
  /** As root the mailbox is made by us and given to the user, who may not write to the folder. */
  readonly root: boolean;
  readonly clock: Clock;
  readonly timeZone: string;
  readonly random: () => number;
  /** What file calls that need no user's rights run in; all others run in `actAs`. */
  readonly watched?: <T>(work: () => T) => T;
  /** How long a lock is waited for, in milliseconds. */
  readonly lockLimitMs?: number;
}

/** Pieces are gathered to writes of about this size. */
const WRITE_SIZE = 64 << 10;
/** The one file target that is no regular file. */
const NOWHERE = "/dev/null";

export class MboxWriter {
  readonly #options: MboxOptions;
  readonly #mutexes = new Mutexes();
  readonly #locks: LockOptions;

  constructor(options: MboxOptions) {
    this.#options = options;
    const { clock, watched = (work) => work(), lockLimitMs = LOCK_LIMIT_MS } = options;
    this.#locks = { clock, watched, limitMs: lockLimitMs };
  }

  /**
   * Resolves when the message is appended durably. Rejects with a DeliveryError; the file is as it was before then. `commit` is called last, while
   * the file is still locked: when it throws, the message is taken out again.
   */
  async deliver(who: Identity, target: MboxTarget, message: Delivered, commit = () => {}): Promise<void> {
    if (target.kind === "file" && target.path === NOWHERE) return;
    try {
      await this.#mutexes.run(target.path, () => this.#locked(who, target, message, commit));
    } catch (error) {
      throw helperError(target, error);
    }
  }

  async #locked(who: Identity, target: MboxTarget, message: Delivered, commit: () => void): Promise<void> {
    const release = target.kind === "mbox" ? await takeDotlock(target.path, this.#options.random, this.#locks) : null;
    let file: Deno.FsFile | null = null;
    try {
      file = this.#locks.watched(() => this.#open(who, target));
      await takeFlock(file, target.path, this.#locks);
      await this.#append(who, file, target, message, commit);
    } finally {
      file?.close();
      release?.();
    }
  }

  #open(who: Identity, { kind, path }: MboxTarget): Deno.FsFile {
    const { actAs, root } = this.#options;
    if (kind === "file") {
      return actAs(who, () => {
        const before = statOrNull(() => Deno.statSync(path));
        refuseIrregular(path, before, kind);
        const file = openAppend(path, { create: true });
        refuseIrregular(path, file.statSync(), kind);
        if (before === null) syncFolder(path);
        return file;
      });
    }
    const asOwner = root ? <T>(work: () => T) => work() : <T>(work: () => T) => actAs(who, work);
    if (statOrNull(() => Deno.lstatSync(path)) === null) asOwner(() => createMailbox(path, root ? who : null));
    return actAs(who, () => {
      const before = Deno.lstatSync(path);
      refuseIrregular(path, before, kind);
      const file = openAppend(path, { create: false });
      const opened = file.statSync();
      // Another file was put in its place between the two calls.
      if (opened.dev !== before.dev || opened.ino !== before.ino || opened.nlink !== 1) {
        file.close();
        throw new DeliveryError(EX.CANTCREAT, quoted(`mail.local: ${path}: Changed while it was opened`));
      }
      return file;
    });
  }

  async #append(
    who: Identity,
    file: Deno.FsFile,
    target: MboxTarget,
    { trace, body }: Delivered,
    commit: () => void,
  ): Promise<void> {
    const { actAs, clock, timeZone } = this.#options;
    const before = file.statSync().size;
    try {
      const writer = new GatheringWriter(file);
      const quoter = new FromQuoter({ everyLine: target.kind === "file" });
      const write = (piece: Uint8Array) => writer.write(piece);
      actAs(who, () => {
        // A message that was cut off by a crash shall not swallow ours.
        if (!endsWithNewline(file, before)) writer.write(NEWLINES);
        writer.write(encoder.encode(fromLine(target.from, clock.now(), timeZone)));
        quoter.push(trace, write);
        quoter.push(body.first, write);
      });
      for (let index = 1; index < body.chunks; index++) {
        const chunk = await body.chunk(index);
        actAs(who, () => quoter.push(chunk, write));
      }
      actAs(who, () => {
        quoter.finish(write);
        writer.flush();
      });
      await file.sync();
      commit();
    } catch (error) {
      file.truncateSync(before);
      throw error;
    }
  }
}

const encoder = new TextEncoder();
const NEWLINES = encoder.encode("\n\n");

class GatheringWriter {
  readonly #file: Deno.FsFile;
  readonly #buffer = new Uint8Array(WRITE_SIZE);
  #used = 0;

  constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  write(piece: Uint8Array): void {
    if (this.#used + piece.length > WRITE_SIZE) this.flush();
    if (piece.length > WRITE_SIZE) return this.#out(piece);
    this.#buffer.set(piece, this.#used);
    this.#used += piece.length;
  }

  flush(): void {
    this.#out(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  #out(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }
}

function openAppend(path: string, { create }: { readonly create: boolean }): Deno.FsFile {
  return Deno.openSync(path, { read: true, append: true, create, mode: 0o600 });
}

/**
 * Makes the system mailbox at `path` for a command that will append to it, if it is missing: as root for `owner`, who may not write to its folder;
 * null makes one of our own. Throws a DeliveryError.
 */
export function prepareMailbox(path: string, owner: Identity | null): void {
  try {
    if (statOrNull(() => Deno.lstatSync(path)) === null) createMailbox(path, owner);
  } catch (error) {
    throw helperError({ kind: "mbox", path, from: "" }, error);
  }
}

/** Makes an empty mailbox of `owner` (null: ours). Fails rather than follow what appeared there meanwhile. */
function createMailbox(path: string, owner: Identity | null): void {
  let descriptor: number;
  try {
    descriptor = fs.openSync(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  try {
    if (owner !== null) fs.fchownSync(descriptor, owner.uid, owner.gid);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  syncFolder(path);
}

/** Makes the name of a new file last. A folder that we may not read is not ours to sync. */
function syncFolder(path: string): void {
  try {
    using folder = Deno.openSync(path.slice(0, path.lastIndexOf("/")) || "/", { read: true });
    folder.syncSync();
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable)) throw error;
  }
}

function refuseIrregular(path: string, info: Deno.FileInfo | null, kind: MboxTarget["kind"]): void {
  if (info === null || (info.isFile && (kind === "file" || info.nlink === 1))) return;
  throw new DeliveryError(EX.CANTCREAT, quoted(`${helperOf(kind)}: ${path}: Not a regular file of its own`));
}

function statOrNull(stat: () => Deno.FileInfo): Deno.FileInfo | null {
  try {
    return stat();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function endsWithNewline(file: Deno.FsFile, size: number): boolean {
  if (size === 0) return true;
  const last = new Uint8Array(1);
  file.seekSync(size - 1, Deno.SeekMode.Start);
  return file.readSync(last) === 1 && last[0] === 10;
}

function helperOf(kind: MboxTarget["kind"]): string {
  return kind === "mbox" ? "mail.local" : "mail.mboxfile";
}

function helperError(target: MboxTarget, error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  return new DeliveryError(EX.TEMPFAIL, quoted(`${helperOf(target.kind)}: ${target.path}: ${systemReason(error)}`));
}
