/** Keys and values of a table that is a database file. Opens no file. */

import { DbDamaged, type DbFile } from "./dbfile.ts";
import { type Entries, mayBePattern } from "./entries.ts";
import { LookupError } from "./error.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** makemap ends keys and values with a NUL, as strings end in C; other programs do not. */
export class DbEntries implements Entries {
  readonly size = null;
  readonly #file: DbFile;
  /** Made at the first question that needs it: few do. */
  #ordered: readonly string[] | null = null;

  constructor(file: DbFile) {
    this.#file = file;
  }

  has(key: string): boolean | LookupError {
    const value = this.#find(key);
    return value instanceof LookupError ? value : value !== null;
  }

  get(key: string): string | null | LookupError {
    const value = this.#find(key);
    return value instanceof Uint8Array ? textOf(value) : value;
  }

  *keys(): Generator<string> {
    for (const { key } of this.#file.records()) yield textOf(key);
  }

  *values(): Generator<string> {
    for (const { value } of this.#file.records()) yield textOf(value);
  }

  keyAt(index: number): string | null | LookupError {
    try {
      this.#ordered ??= [...this.keys()];
      return this.#ordered[index] ?? null;
    } catch (error) {
      return lookupError(error);
    }
  }

  *patterns(): Generator<string> {
    for (const { key } of this.#file.records()) {
      const end = key.at(-1) === 0 ? key.length - 1 : key.length;
      if (mayBePattern(key, 0, end)) yield textOf(key);
    }
  }

  #find(key: string): Uint8Array | null | LookupError {
    const bytes = encoder.encode(`${key}\0`);
    try {
      return this.#file.get(bytes) ?? this.#file.get(bytes.subarray(0, -1));
    } catch (error) {
      return lookupError(error);
    }
  }
}

/** What a damaged file answers. Other errors are ours and go on. */
export function lookupError(error: unknown): LookupError {
  if (error instanceof DbDamaged) return new LookupError(error.message);
  throw error;
}

function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes);
}
