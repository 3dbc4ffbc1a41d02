/**
 * Maildir delivery: written and synced in tmp/, renamed into new/, and that folder synced too. Calls that need the user's rights are
 * synchronous (see identity.ts); syncs need none and run beside each other on the shared pool, so that many messages share one
 * journal commit of the file system. Renames into one folder that are ready together share its sync.
 */

import type { EnvelopeId } from "../../envelope/mod.ts";
import { systemReason } from "../../events/mod.ts";
import type { ActAs, Identity } from "../identity.ts";
import type { Delivered } from "../delivered.ts";
import { DeliveryError, EX, quoted } from "./sysexits.ts";

export interface MaildirTarget {
  /** Absolute, without a slash at the end. */
  readonly directory: string;
  readonly junk: boolean;
  readonly extension: string;
  /** The message is marked as spam. */
  readonly spam: boolean;
  /** Whose delivery this is. The file's name follows from it, so that one repeated after a crash replaces itself. */
  readonly envelope: { readonly id: EnvelopeId; readonly createdAt: number };
}

export interface MaildirOptions {
  readonly actAs: ActAs;
  /** For what is to be undone when `actAs` does nothing any more; without it that one. */
  readonly undo?: ActAs;
  /** Name of this host, for file names. */
  readonly hostname: string;
}

/** Folders that are known to be there; forgotten all at once when there are more. */
const MAX_KNOWN_FOLDERS = 10_000;
/** Up to this size lines and body go out in one write. */
const MAX_ONE_WRITE_OCTETS = 64 << 10;

interface Moving {
  readonly from: string;
  readonly to: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class MaildirWriter {
  readonly #options: MaildirOptions;
  readonly #host: string;
  readonly #known = new Set<string>();
  readonly #buffer = new Uint8Array(MAX_ONE_WRITE_OCTETS);
  /** Renames that wait, by user and folder. */
  readonly #moving = new Map<string, Moving[]>();

  constructor(options: MaildirOptions) {
    this.#options = options;
    this.#host = options.hostname.replaceAll("/", "\\057").replaceAll(":", "\\072");
  }

  /**
   * Resolves when the message is in new/ durably. Rejects with a DeliveryError; then nothing but perhaps a file in tmp/ is left. `commit` is called
   * last: when it throws, the message is taken out again.
   */
  async deliver(who: Identity, target: MaildirTarget, message: Delivered, commit = () => {}): Promise<void> {
    const { actAs } = this.#options;
    const name = this.#name(target);
    let folder = "";
    let file: Deno.FsFile | null = null;
    try {
      file = actAs(who, () => {
        folder = this.#folder(who, target);
        return this.#create(who, target, folder, name, message);
      });
      for (let index = 1; index < message.body.chunks; index++) {
        const chunk = await message.body.chunk(index);
        actAs(who, () => writeAll(file!, chunk));
      }
      await file.sync();
      file.close();
    } catch (error) {
      file?.close();
      if (file !== null) actAs(who, () => removeQuietly(`${folder}/tmp/${name}`));
      throw helperError(folder || target.directory, error);
    }
    await this.#move(who, folder, name);
    try {
      commit();
    } catch (error) {
      const { undo = actAs } = this.#options;
      undo(who, () => removeQuietly(`${folder}/new/${name}`));
      throw error;
    }
  }

  #name({ envelope }: MaildirTarget): string {
    return `${Math.floor(envelope.createdAt / 1000)}.${envelope.id}.${this.#host}`;
  }

  #folder(who: Identity, target: MaildirTarget): string {
    const { directory, junk } = target;
    this.#ensure(who, directory, { junk });
    const folder = chosenFolder(target, isDirectory);
    if (folder === `${directory}/.${target.extension}`) this.#ensure(who, folder, { junk: false });
    return folder;
  }

  #ensure(who: Identity, directory: string, { junk }: { readonly junk: boolean }): void {
    const key = `${who.uid} ${junk} ${directory}`;
    if (this.#known.has(key)) return;
    makeMaildir(directory);
    if (junk) makeMaildir(`${directory}/.Junk`);
    if (this.#known.size >= MAX_KNOWN_FOLDERS) this.#known.clear();
    this.#known.add(key);
  }

  /** Opens the file in tmp/ and writes the start. A folder that was removed since it was seen is made again, once. */
  #create(who: Identity, target: MaildirTarget, folder: string, name: string, message: Delivered): Deno.FsFile {
    const open = () => Deno.openSync(`${folder}/tmp/${name}`, { write: true, createNew: true, mode: 0o600 });
    let file: Deno.FsFile;
    try {
      file = open();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        this.#known.clear();
        this.#folder(who, target);
      } else if (error instanceof Deno.errors.AlreadyExists) {
        // Left by an attempt that a crash cut short.
        Deno.removeSync(`${folder}/tmp/${name}`);
      } else throw error;
      file = open();
    }
    try {
      this.#start(file, message);
      return file;
    } catch (error) {
      file.close();
      removeQuietly(`${folder}/tmp/${name}`);
      throw error;
    }
  }

  #start(file: Deno.FsFile, { trace, body }: Delivered): void {
    const size = trace.length + body.first.length;
    if (size > MAX_ONE_WRITE_OCTETS) {
      writeAll(file, trace);
      writeAll(file, body.first);
      return;
    }
    this.#buffer.set(trace);
    this.#buffer.set(body.first, trace.length);
    writeAll(file, this.#buffer.subarray(0, size));
  }

  #move(who: Identity, folder: string, name: string): Promise<void> {
    const key = `${who.uid} ${who.gid} ${folder}`;
    return new Promise((resolve, reject) => {
      const moving: Moving = { from: `${folder}/tmp/${name}`, to: `${folder}/new/${name}`, resolve, reject };
      const waiting = this.#moving.get(key);
      if (waiting !== undefined) return waiting.push(moving);
      this.#moving.set(key, [moving]);
      // After those that became ready in the same turn.
      queueMicrotask(() => this.#moveAll(who, folder, key));
    });
  }

  /** Renames and syncs round by round: what becomes ready during a sync shares the next one. */
  async #moveAll(who: Identity, folder: string, key: string): Promise<void> {
    for (;;) {
      const round = this.#moving.get(key)!;
      if (round.length === 0) break;
      this.#moving.set(key, []);
      let directory: Deno.FsFile | null = null;
      try {
        const renamed = this.#options.actAs(who, () => renameAll(round, folder));
        directory = renamed.directory;
        await directory?.sync();
        for (const { resolve } of renamed.moved) resolve();
      } catch (error) {
        for (const { reject } of round) reject(helperError(folder, error));
      } finally {
        directory?.close();
      }
    }
    this.#moving.delete(key);
  }
}

/** Returns the Maildir to use: `.Junk` for spam, else the sub-address' one if it is there, else the main one. */
export function chosenFolder(
  { directory, junk, extension, spam }: Pick<MaildirTarget, "directory" | "junk" | "extension" | "spam">,
  isThere: (path: string) => boolean,
): string {
  if (junk && spam) return `${directory}/.Junk`;
  if (extension === "") return directory;
  const sub = `${directory}/.${extension}`;
  return isThere(sub) ? sub : directory;
}

/** Renames what can be renamed, and opens the folder for its sync. Those that cannot are rejected here. */
function renameAll(round: readonly Moving[], folder: string): { moved: Moving[]; directory: Deno.FsFile | null } {
  let directory: Deno.FsFile;
  try {
    directory = Deno.openSync(`${folder}/new`, { read: true });
  } catch (error) {
    for (const { from, reject } of round) {
      removeQuietly(from);
      reject(helperError(folder, error));
    }
    return { moved: [], directory: null };
  }
  const moved: Moving[] = [];
  for (const moving of round) {
    try {
      Deno.renameSync(moving.from, moving.to);
      moved.push(moving);
    } catch (error) {
      removeQuietly(moving.from);
      moving.reject(helperError(folder, error));
    }
  }
  return { moved, directory };
}

/** Makes a Maildir with all the folders above it, mode 0700, and sees to it that they last. */
function makeMaildir(directory: string): void {
  const made: string[] = [];
  let above = directory;
  // What is above the folder that was granted is not accessible: making our folder shows whether it is there.
  while (above !== "" && !mayBeDirectory(above)) {
    made.unshift(above);
    above = above.slice(0, above.lastIndexOf("/"));
  }
  for (const part of ["cur", "tmp", "new"]) if (!isDirectory(`${directory}/${part}`)) made.push(`${directory}/${part}`);
  for (const path of made) makeDirectory(path);
  for (const path of new Set(made.map((path) => path.slice(0, path.lastIndexOf("/")) || "/"))) syncDirectory(path);
}

function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else was faster.
    if (!(error instanceof Deno.errors.AlreadyExists && isDirectory(path))) throw error;
  }
}

/** A folder above may be writable but not readable for us: then its own sync is not ours to make. */
function syncDirectory(path: string): void {
  try {
    using directory = Deno.openSync(path, { read: true });
    directory.syncSync();
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable)) throw error;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** True too where the runtime does not permit a look. */
function mayBeDirectory(path: string): boolean {
  try {
    return isDirectory(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return true;
    throw error;
  }
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(at === 0 ? bytes : bytes.subarray(at));
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It stays in tmp/, where mail readers clean up after 36 hours.
  }
}

function helperError(path: string, error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  return new DeliveryError(EX.TEMPFAIL, quoted(`mail.maildir: ${path}: ${systemReason(error)}`));
}
