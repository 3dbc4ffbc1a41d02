/**
 * Constant databases: a file that maps keys to values, written whole and then only read. Layout after D. J. Bernstein's cdb: 256 hash tables
 * behind the records, each slot a hash and a place. Pure: octets in, octets out.
 */

import { DbDamaged, type DbFile, type DbRecord, sameOctets } from "./dbfile.ts";

/** Tables, and octets of the header that says where they are. */
const TABLES = 256, HEADER = TABLES * 8;
/** Places are 32-bit numbers. */
const MAX_BYTES = 0xffff_ffff;

function hashOf(key: Uint8Array): number {
  let hash = 5381;
  for (const octet of key) hash = ((hash << 5) + hash ^ octet) >>> 0;
  return hash;
}

/** The file of these records, in order. Throws RangeError when it would be larger than 4 GiB. */
export function writeCdb(records: readonly DbRecord[]): Uint8Array<ArrayBuffer> {
  const slots: { hash: number; at: number }[][] = Array.from({ length: TABLES }, () => []);
  let size = HEADER;
  for (const { key, value } of records) {
    const hash = hashOf(key);
    slots[hash % TABLES]!.push({ hash, at: size });
    size += 8 + key.length + value.length;
  }
  const total = size + records.length * 2 * 8;
  if (total > MAX_BYTES) throw new RangeError("A constant database holds at most 4 GiB");
  const file = new Uint8Array(total);
  const view = new DataView(file.buffer);
  let at = HEADER;
  for (const { key, value } of records) {
    view.setUint32(at, key.length, true);
    view.setUint32(at + 4, value.length, true);
    file.set(key, at + 8);
    file.set(value, at + 8 + key.length);
    at += 8 + key.length + value.length;
  }
  for (const [table, entries] of slots.entries()) {
    // Half of the slots stay empty, so that a search ends soon.
    const length = entries.length * 2;
    view.setUint32(table * 8, at, true);
    view.setUint32(table * 8 + 4, length, true);
    for (const entry of entries) {
      let slot = (entry.hash >>> 8) % length;
      while (view.getUint32(at + slot * 8 + 4, true) !== 0) slot = (slot + 1) % length;
      view.setUint32(at + slot * 8, entry.hash, true);
      view.setUint32(at + slot * 8 + 4, entry.at, true);
    }
    at += length * 8;
  }
  return file;
}

/** Is this laid out as a constant database? It has no magic number: the header must name places behind itself and within the file. */
export function looksLikeCdb(file: Uint8Array): boolean {
  if (file.length < HEADER) return false;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let table = 0; table < TABLES; table++) {
    const at = view.getUint32(table * 8, true), length = view.getUint32(table * 8 + 4, true);
    // Some writers leave the place of an empty table at zero.
    if ((at < HEADER && (at !== 0 || length !== 0)) || at + length * 8 > file.length) return false;
  }
  return true;
}

/** Reads a constant database. Every place is checked: the file may be anything. */
export class CdbReader implements DbFile {
  readonly #file: Uint8Array;
  readonly #view: DataView;

  constructor(file: Uint8Array) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    if (!looksLikeCdb(file)) throw damaged();
  }

  /** The value of `key`, null when there is none. Throws DbDamaged. */
  get(key: Uint8Array): Uint8Array | null {
    const hash = hashOf(key);
    const table = this.#uint32((hash % TABLES) * 8);
    const length = this.#uint32((hash % TABLES) * 8 + 4);
    for (let step = 0; step < length; step++) {
      const slot = table + ((hash >>> 8) + step) % length * 8;
      const place = this.#uint32(slot + 4);
      if (place === 0) return null;
      if (this.#uint32(slot) !== hash) continue;
      const record = this.#record(place);
      if (sameOctets(record.key, key)) return record.value;
    }
    return null;
  }

  /** All records in the order they were written. */
  *records(): Generator<DbRecord> {
    let end = this.#file.length;
    for (let table = 0; table < TABLES; table++) {
      const at = this.#uint32(table * 8);
      if (at !== 0) end = Math.min(end, at);
    }
    for (let at = HEADER; at < end;) {
      const record = this.#record(at);
      yield record;
      at += 8 + record.key.length + record.value.length;
    }
  }

  #record(at: number): DbRecord {
    const start = at + 8;
    const middle = start + this.#uint32(at);
    const end = middle + this.#uint32(at + 4);
    if (end > this.#file.length) throw damaged();
    return { key: this.#file.subarray(start, middle), value: this.#file.subarray(middle, end) };
  }

  #uint32(at: number): number {
    if (at + 4 > this.#file.length) throw damaged();
    return this.#view.getUint32(at, true);
  }
}

function damaged(): DbDamaged {
  return new DbDamaged("not a constant database, or a damaged one");
}
