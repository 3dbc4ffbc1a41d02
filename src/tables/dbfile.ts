/** What the readers of database files have in common. Reads no file: octets in, octets out. */

export interface DbRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A database file in memory. Both throw DbDamaged when they meet something that cannot be. */
export interface DbFile {
  /** The value of `key`, null when there is none. */
  get(key: Uint8Array): Uint8Array | null;
  /** All records, in the order of the file. */
  records(): Iterable<DbRecord>;
}

/** A file that is no database of a known form, or a damaged one. */
export class DbDamaged extends Error {
}

/** Returns whether two keys are the same. */
export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
