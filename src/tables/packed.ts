/**
 * Keys and values of a large table in little memory: all of them in one piece of bytes, found through a table of places. A million entries of
 * 50 bytes cost some 65 MB. Independent of the meaning of the values.
 */

import { type Entries, mayBePattern } from "./entries.ts";

/** Bytes in front of each key: its length (2 bytes, of which the highest bit marks a deleted record) and that of the value (4 bytes). */
const HEADER = 6;
const DEAD = 0x8000;
/** Longest key in bytes: a character of a key may have three, and longer ones are in no table. */
const MAX_KEY = 0x7fff;
/** Places are 32-bit numbers. */
const MAX_HEAP = 0xffff_ffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const scratch = new Uint8Array(4096);

export class PackedEntries implements Entries {
  /** Place 0 is none, so the first record begins at 1. */
  #heap: Uint8Array<ArrayBuffer>;
  #used = 1;
  /** Places of records, at the hash of their key or behind it; 0 is free. */
  #slots: Uint32Array<ArrayBuffer>;
  #size = 0;
  /** Places of the keys that may be patterns. */
  #patterns: number[] = [];
  #sorted: Uint32Array | null = null;

  /** How many entries and bytes of keys and values are expected: more are taken, at the cost of some copying. */
  constructor({ entries = 16, bytes = 1024 }: { readonly entries?: number; readonly bytes?: number } = {}) {
    this.#heap = new Uint8Array(Math.min(MAX_HEAP, 1 + entries * HEADER + bytes));
    this.#slots = new Uint32Array(slotsFor(entries));
  }

  static of(entries: Iterable<readonly [string, string]>): PackedEntries {
    const packed = new PackedEntries();
    for (const [key, value] of entries) packed.set(encoder.encode(key), encoder.encode(value));
    packed.trim();
    return packed;
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of memory that the entries take. */
  get bytes(): number {
    return this.#heap.byteLength + this.#slots.byteLength + this.#patterns.length * 8 + (this.#sorted?.byteLength ?? 0);
  }

  /** Adds an entry, in place of one with the same key. Upper-case ASCII letters of the key become lower case. Throws RangeError. */
  set(key: Uint8Array, value: Uint8Array): void {
    const length = HEADER + key.length + value.length;
    if (key.length > MAX_KEY || this.#used + length > MAX_HEAP) throw new RangeError("The table is too large");
    this.#reserve(length);
    const heap = this.#heap, place = this.#used, start = place + HEADER;
    heap[place] = key.length & 0xff;
    heap[place + 1] = key.length >>> 8;
    for (let byte = 0; byte < 4; byte++) heap[place + 2 + byte] = value.length >>> (8 * byte) & 0xff;
    for (let at = 0; at < key.length; at++) {
      const octet = key[at]!;
      heap[start + at] = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
    }
    heap.set(value, start + key.length);
    this.#used += length;
    this.#sorted = null;
    const slot = this.#find(heap, start, key.length);
    const old = this.#slots[slot]!;
    if (old !== 0) heap[old + 1]! |= DEAD >>> 8;
    else this.#size++;
    this.#slots[slot] = place;
    if (mayBePattern(heap, start, start + key.length)) this.#patterns.push(place);
  }

  /** Gives back the memory that was reserved for entries that did not come. */
  trim(): void {
    if (this.#heap.length > this.#used) this.#heap = this.#heap.slice(0, this.#used);
  }

  has(key: string): boolean {
    return this.#placeOf(key) !== 0;
  }

  get(key: string): string | null {
    const place = this.#placeOf(key);
    return place === 0 ? null : this.#value(place);
  }

  *keys(): Generator<string> {
    this.#sorted ??= this.#sort();
    for (const place of this.#sorted) yield this.#key(place);
  }

  *values(): Generator<string> {
    for (const place of this.#slots) if (place !== 0) yield this.#value(place);
  }

  /** Key number `index` in the order of their bytes. */
  keyAt(index: number): string | null {
    this.#sorted ??= this.#sort();
    const place = this.#sorted[index];
    return place === undefined ? null : this.#key(place);
  }

  *patterns(): Generator<string> {
    for (const place of this.#patterns) if (!this.#isDead(place)) yield this.#key(place);
  }

  #reserve(length: number): void {
    if (this.#used + length > this.#heap.length) {
      const larger = new Uint8Array(Math.min(MAX_HEAP, Math.ceil((this.#heap.length + length) * 1.5)));
      larger.set(this.#heap.subarray(0, this.#used));
      this.#heap = larger;
    }
    if ((this.#size + 1) * 3 > this.#slots.length * 2) {
      const old = this.#slots;
      this.#slots = new Uint32Array(old.length * 2);
      for (const place of old) {
        if (place !== 0) this.#slots[this.#find(this.#heap, place + HEADER, this.#keyLength(place))] = place;
      }
    }
  }

  /** The slot of the record with this key, else the free one where it belongs. */
  #find(key: Uint8Array, start: number, length: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(key, start, length) & mask;; slot = (slot + 1) & mask) {
      const place = this.#slots[slot]!;
      if (place === 0 || this.#equals(place, key, start, length)) return slot;
    }
  }

  #equals(place: number, key: Uint8Array, start: number, length: number): boolean {
    if (this.#keyLength(place) !== length) return false;
    const heap = this.#heap;
    for (let at = 0; at < length; at++) if (heap[place + HEADER + at] !== key[start + at]) return false;
    return true;
  }

  /** The place of a lower-case key, 0 for none. */
  #placeOf(key: string): number {
    const { read, written } = encoder.encodeInto(key, scratch);
    return read < key.length ? 0 : this.#slots[this.#find(scratch, 0, written)]!;
  }

  #keyLength(place: number): number {
    return (this.#heap[place]! | this.#heap[place + 1]! << 8) & ~DEAD;
  }

  #isDead(place: number): boolean {
    return (this.#heap[place + 1]! & DEAD >>> 8) !== 0;
  }

  #valueLength(place: number): number {
    let length = 0;
    for (let byte = 0; byte < 4; byte++) length += this.#heap[place + 2 + byte]! * 2 ** (8 * byte);
    return length;
  }

  #key(place: number): string {
    return decoder.decode(this.#heap.subarray(place + HEADER, place + HEADER + this.#keyLength(place)));
  }

  #value(place: number): string {
    const start = place + HEADER + this.#keyLength(place);
    return decoder.decode(this.#heap.subarray(start, start + this.#valueLength(place)));
  }

  #sort(): Uint32Array {
    const heap = this.#heap, places = new Uint32Array(this.#size);
    let count = 0;
    for (const place of this.#slots) if (place !== 0) places[count++] = place;
    return places.sort((a, b) => {
      const lengthA = this.#keyLength(a), lengthB = this.#keyLength(b);
      for (let at = 0; at < Math.min(lengthA, lengthB); at++) {
        const order = heap[a + HEADER + at]! - heap[b + HEADER + at]!;
        if (order !== 0) return order;
      }
      return lengthA - lengthB;
    });
  }
}

/** At least half as many again as there are entries, in a power of two. */
function slotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(16, entries * 1.5)));
}

/** FNV-1a with a last stir, so that the lower bits depend on all of the key. */
function hashOf(key: Uint8Array, start: number, length: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < start + length; at++) hash = Math.imul(hash ^ key[at]!, 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}
