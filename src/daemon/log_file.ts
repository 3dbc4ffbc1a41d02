/**
 * A file of the log. It is only ever appended to, so that a program that copies and truncates it takes nothing of what comes later; `reopen` begins a new
 * file where the old one was moved away. Writing never waits: what cannot be written is left out, counted, and told when there is room again.
 */

import { dirname } from "node:path";
import { systemReason } from "../events/mod.ts";
import { Fatal } from "./fatal.ts";

/** What waits for a slow disk, in characters. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024;
/** The end of the daemon waits for so long for what is not written. */
const CLOSE_LIMIT_MS = 2_000;
const MODE = 0o640;
const OTHERS_WRITE = 0o002, STICKY = 0o1000;

/** What of an open file is needed. */
export type LogFileHandle = Pick<Deno.FsFile, "write" | "close">;

export interface LogFileOptions {
  readonly path: string;
  /** Returns a line that says how many were left out, and why. */
  readonly note: (text: string) => string;
  readonly after: (ms: number, action: () => void) => () => void;
  /** Opens the file. Throws when that fails. */
  readonly open?: (path: string) => LogFileHandle;
}

/** Returns why there can be no log in a file of this path; null when nothing is known against it. Changes nothing. */
export function logFileFault(path: string): string | null {
  try {
    const { isDirectory, mode } = Deno.statSync(dirname(path));
    if (!isDirectory) return `${dirname(path)} is no folder`;
    // In a sticky one the kernel lets nobody lead root elsewhere by a link.
    if (((mode ?? 0) & OTHERS_WRITE) !== 0 && ((mode ?? 0) & STICKY) === 0) {
      return `all users may write into ${dirname(path)}: chmod o-w it`;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return `there is no folder ${dirname(path)}: make it, only root should be able to write into it`;
    }
    return `${dirname(path)}: ${systemReason(error)}`;
  }
  try {
    const found = Deno.lstatSync(path);
    if (found.isSymlink) return `${path} is a link: name the file that it leads to`;
    return found.isFile ? null : `${path} is no file`;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? null : `${path}: ${systemReason(error)}`;
  }
}

/** Opens it for appending. A file that is made has mode 0640. */
function openLogFile(path: string): Deno.FsFile {
  const fault = logFileFault(path);
  if (fault !== null) throw new Error(fault);
  try {
    return Deno.openSync(path, { append: true, create: true, mode: MODE });
  } catch (error) {
    throw new Error(`${path}: ${systemReason(error)}`);
  }
}

/** One file that is open. */
export class LogFile {
  readonly #options: LogFileOptions;
  readonly #open: (path: string) => LogFileHandle;
  #file: LogFileHandle;
  #waiting: string[] = [];
  #waitingChars = 0;
  #lost = 0;
  #lostReason = "";
  /** The last line in the file has no end. */
  #torn = false;
  #writing: Promise<void> | null = null;

  /** Opens the file. Throws when that fails. */
  constructor(options: LogFileOptions) {
    this.#options = options;
    this.#open = options.open ?? openLogFile;
    this.#file = this.#open(options.path);
  }

  /** Writes finished lines soon, in order. */
  write(lines: readonly string[]): void {
    for (const line of lines) {
      if (this.#waitingChars + line.length > MAX_WAITING_CHARS) this.#lose(1, "the disk is too slow");
      else {
        this.#waiting.push(line);
        this.#waitingChars += line.length;
      }
    }
    if (this.#waiting.length > 0) this.#writing ??= this.#drain();
  }

  /** Goes on in the file that has the name now. Throws when it cannot be opened: the old one stays. */
  reopen(): void {
    const old = this.#file;
    this.#file = this.#open(this.#options.path);
    this.#torn = false;
    // What is being written is for the old one.
    void Promise.resolve(this.#writing).then(() => old.close());
  }

  /** Resolves when all is written, or the time for that is over. */
  async close(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const cancelLimit = this.#options.after(CLOSE_LIMIT_MS, limit.resolve);
    await Promise.race([this.#writing, limit.promise]);
    cancelLimit();
    this.#file.close();
  }

  async #drain(): Promise<void> {
    // One turn later: lines that come together are written together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const lines = this.#waiting, file = this.#file;
      this.#waiting = [];
      this.#waitingChars = 0;
      await this.#writeTo(file, lines);
    }
    this.#writing = null;
  }

  async #writeTo(file: LogFileHandle, lines: readonly string[]): Promise<void> {
    const lost = this.#lost;
    const note = lost === 0
      ? []
      : [this.#options.note(`${lost} line${lost === 1 ? " was" : "s were"} left out: ${this.#lostReason}`)];
    let bytes: Uint8Array = new TextEncoder().encode(`${this.#torn ? "\n" : ""}${[...note, ...lines].join("\n")}\n`);
    let begun = false;
    try {
      while (bytes.length > 0) {
        bytes = bytes.subarray(await file.write(bytes));
        begun = true;
      }
      this.#lost -= lost;
      if (file === this.#file) this.#torn = false;
    } catch (error) {
      // Of those that were written in part it is not known how many came through.
      this.#lose(lines.length, systemReason(error));
      if (begun && file === this.#file) this.#torn = true;
    }
  }

  #lose(count: number, reason: string): void {
    this.#lost += count;
    this.#lostReason = reason;
  }
}

/** Throws Fatal when a file of the log cannot be opened, with the line that names it. */
export function openOrFail(options: LogFileOptions, prefix: string): LogFile {
  try {
    return new LogFile(options);
  } catch (error) {
    throw new Fatal(`${prefix}the log cannot go there: ${(error as Error).message}`);
  }
}
