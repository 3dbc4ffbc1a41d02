/**
 * Reads the files of tables that the user of the lookup isolate may not read, such as passwords that only root can, and hands them over in pieces. Only files
 * that the configuration named at the start are read.
 */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { systemReason } from "../events/mod.ts";
import type { LookupToMain } from "../protocol/mod.ts";
import { MAX_TABLE_PIECE_OCTETS, type TablePiece } from "../protocol/lookup_main.ts";

/** Questions that are being answered at one time, and those that wait: lookup asks once for each table. */
const MAX_RUNNING_READS = 4, MAX_WAITING_READS = 10_000;

type Failure = { readonly error: string };

export class TableFiles {
  readonly #paths: ReadonlySet<string>;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** `paths`: what the tables of the configuration are read from. */
  constructor(paths: Iterable<string>) {
    this.#paths = new Set(paths);
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** A piece of a file. Rejects never: why there is none is the value. */
  piece({ path, from, stamp }: Extract<LookupToMain, { type: "table-file" }>): Promise<TablePiece | Failure> {
    return this.#try(path, async () => {
      using file = await Deno.open(path);
      const info = await file.stat();
      const current = stampOf(info);
      if (stamp !== null && stamp !== current) throw new Error("It has changed while it was read");
      if (from > 0) await file.seek(from, Deno.SeekMode.Start);
      const octets = new Uint8Array(Math.max(0, Math.min(MAX_TABLE_PIECE_OCTETS, info.size - from)));
      let length = 0;
      for (let count: number | null = 0; length < octets.length && count !== null; length += count ?? 0) {
        count = await file.read(octets.subarray(length));
      }
      if (length < octets.length) throw new Error("It has changed while it was read");
      return { stamp: current, size: info.size, octets };
    });
  }

  /** What changes with the content of a file. Rejects never. */
  stamp({ path }: Extract<LookupToMain, { type: "table-stamp" }>): Promise<{ readonly stamp: string } | Failure> {
    return this.#try(path, async () => ({ stamp: stampOf(await Deno.stat(path)) }));
  }

  async #try<T>(path: string, read: () => Promise<T>): Promise<T | Failure> {
    if (!this.#paths.has(path)) {
      return { error: "Not a file of the configuration as it is in use: smtpctl reload has it read" };
    }
    if (this.#running >= MAX_RUNNING_READS) {
      if (this.#waiting.length >= MAX_WAITING_READS) return { error: "Too many questions wait for an answer" };
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running++;
    try {
      const { isFile, size } = await Deno.stat(path);
      if (!isFile) throw new Error("Not a regular file");
      if (size > LANGUAGE_LIMITS.tableFileBytes) throw new Error(`Larger than ${LANGUAGE_LIMITS.tableFileBytes} bytes`);
      return await read();
    } catch (error) {
      return { error: systemReason(error) };
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}

function stampOf({ dev, ino, size, mtime, ctime }: Deno.FileInfo): string {
  return [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join(" ");
}
