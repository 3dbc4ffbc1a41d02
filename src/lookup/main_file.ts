/**
 * A table's file that this isolate reads itself or, where its user may not open it, has main read: secrets that are root's alone, and files that were put in
 * the place of those that the kernel's walls were told of. It is tried anew each time.
 */

import type { WatchedFile } from "../tables/mod.ts";

/** What is needed of main. Both reject with the reason. */
export interface MainFiles {
  readonly tableFile: (path: string, limit: number) => Promise<{ readonly stamp: string; readonly octets: Uint8Array }>;
  readonly tableStamp: (path: string) => Promise<string>;
}

/** What main said last: the octets until they are read, or why there are none. */
interface Handed {
  /** As of the last look. */
  stamp: string;
  octets: Uint8Array | null;
  error: Error | null;
}

export class MainFile implements WatchedFile {
  readonly #path: string;
  readonly #limit: number;
  readonly #own: WatchedFile;
  readonly #main: MainFiles;
  /** Null while this isolate reads the file itself. */
  #handed: Handed | null = null;
  #looking = false;

  /** `own` reads the file in this isolate; a larger one than `limit` octets is an error. */
  constructor({ path, limit, own, main }: {
    readonly path: string;
    readonly limit: number;
    readonly own: WatchedFile;
    readonly main: MainFiles;
  }) {
    this.#path = path;
    this.#limit = limit;
    this.#own = own;
    this.#main = main;
  }

  read(): Uint8Array {
    const handed = this.#handed;
    if (handed === null) return this.#own.read();
    if (handed.error !== null) throw handed.error;
    if (handed.octets === null) throw new Error("Main was not asked for the file");
    const { octets } = handed;
    handed.octets = null;
    return octets;
  }

  /** Of what main reads, the stamp as it was at the last look; another look is begun. */
  stamp(): string {
    const handed = this.#handed;
    if (handed === null) return this.#own.stamp();
    void this.#look(handed);
    if (handed.error !== null) throw handed.error;
    return handed.stamp;
  }

  fetch(): Promise<void> | null {
    if (mayOpen(this.#path)) {
      this.#handed = null;
      return null;
    }
    return this.#main.tableFile(this.#path, this.#limit).then(
      ({ stamp, octets }) => {
        this.#handed = { stamp, octets, error: null };
      },
      (error: Error) => {
        this.#handed = { stamp: "", octets: null, error };
      },
    );
  }

  look(): Promise<void> | null {
    return this.#handed === null ? null : this.#look(this.#handed);
  }

  async #look(handed: Handed): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      handed.stamp = await this.#main.tableStamp(this.#path);
      handed.error = null;
    } catch (error) {
      handed.error = error as Error;
    } finally {
      this.#looking = false;
    }
  }
}

/** False when this isolate or its user may not open the file; what else is wrong with it shows when it is read. */
function mayOpen(path: string): boolean {
  try {
    // A pipe would be waited for.
    if (Deno.statSync(path).isFile) Deno.openSync(path).close();
    return true;
  } catch (error) {
    return !isRefused(error);
  }
}

/** True for an error that says that this isolate, or its user, may not. */
export function isRefused(error: unknown): boolean {
  return error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable;
}
