/**
 * Berkeley DB files as makemap(8) of OpenSMTPD and Postfix write them through libdb 4 and 5: hash and btree, of either byte order. Reads only, and
 * only what such files hold: no duplicate keys, no encryption, no sub-databases. Pure, and every place and length is checked: the file
 * may be anything.
 */

import { DbDamaged, type DbFile, type DbRecord, sameOctets } from "./dbfile.ts";

const BTREE_MAGIC = 0x053162, HASH_MAGIC = 0x061561;
/** Versions of the two layouts that libdb 3 to 5 write. */
const BTREE_VERSIONS = [8, 9], HASH_VERSIONS = [7, 8, 9];
/** Octets of a page's header, behind which the offsets of its items stand. */
const PAGE_HEADER = 26;
const Page = { hashUnsorted: 2, btreeInternal: 3, btreeLeaf: 5, overflow: 7, hash: 13 } as const;
const HashItem = { keyData: 1, offPage: 3 } as const;
const BtreeItem = { keyData: 1, overflow: 3, deleted: 0x80 } as const;
declare const kind: unique symbol;

/** The number of a page in the file; 0, the page that describes the file, ends a chain. */
type PageNumber = number & { readonly [kind]: "page" };
const NO_PAGE = 0 as PageNumber;

/** A tree of more levels than this is a circle. */
const MAX_LEVELS = 32;

/** Octets 12 to 15 of the first page say what a file is, in the byte order of the machine that wrote it. Null: no Berkeley DB file. */
function magicOf(file: Uint8Array): { readonly magic: number; readonly little: boolean } | null {
  if (file.length < 512) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (const little of [true, false]) {
    const magic = view.getUint32(12, little);
    if (magic === BTREE_MAGIC || magic === HASH_MAGIC) return { magic, little };
  }
  return null;
}

/** Returns by its first page whether a file is one of Berkeley DB. */
export function looksLikeBdb(file: Uint8Array): boolean {
  return magicOf(file) !== null;
}

/** The reader that fits the file. Throws DbDamaged. */
export function openBdb(file: Uint8Array): DbFile {
  const found = magicOf(file);
  if (found === null) throw new DbDamaged("not a Berkeley DB file");
  const pages = new Pages(file, found);
  return found.magic === HASH_MAGIC ? new HashReader(pages) : new BtreeReader(pages);
}

/** The file as numbered pages of one size. */
class Pages {
  readonly #file: Uint8Array;
  readonly #view: DataView;
  readonly #little: boolean;
  readonly size: number;
  readonly count: number;

  constructor(file: Uint8Array, { little }: { readonly little: boolean }) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    this.#little = little;
    this.size = this.uint32(20);
    if (this.size < 512 || this.size > 65_536 || (this.size & (this.size - 1)) !== 0) throw damaged("page size");
    this.count = Math.floor(file.length / this.size);
    if (this.uint8(24) !== 0) throw new DbDamaged("encrypted Berkeley DB files are not read");
    // Checksums would stand between the header of a page and its items.
    if (this.uint8(26) !== 0) throw new DbDamaged("Berkeley DB files with checksums or partitions are not read");
  }

  uint8(at: number): number {
    if (at >= this.#file.length) throw damaged("place");
    return this.#file[at]!;
  }

  uint16(at: number): number {
    if (at + 2 > this.#file.length) throw damaged("place");
    return this.#view.getUint16(at, this.#little);
  }

  uint32(at: number): number {
    if (at + 4 > this.#file.length) throw damaged("place");
    return this.#view.getUint32(at, this.#little);
  }

  /** The page that is named at this place of the file. */
  page(at: number): PageNumber {
    return this.uint32(at) as PageNumber;
  }

  /** Octets of one page: `at` counts from its beginning. */
  octets(page: PageNumber, at: number, length: number): Uint8Array {
    if (at < PAGE_HEADER || length < 0 || at + length > this.size) throw damaged("item");
    const start = this.start(page) + at;
    return this.#file.subarray(start, start + length);
  }

  start(page: PageNumber): number {
    if (page === 0 || page >= this.count) throw damaged("page number");
    return page * this.size;
  }

  next(page: PageNumber): PageNumber {
    return this.page(this.start(page) + 16);
  }

  entries(page: PageNumber): number {
    const entries = this.uint16(this.start(page) + 20);
    if (PAGE_HEADER + entries * 2 > this.size) throw damaged("count of items");
    return entries;
  }

  type(page: PageNumber): number {
    return this.uint8(this.start(page) + 25);
  }

  /** Where item `index` of a page begins, counted from the page's beginning. */
  offset(page: PageNumber, index: number): number {
    const offset = this.uint16(this.start(page) + PAGE_HEADER + index * 2);
    if (offset < PAGE_HEADER || offset >= this.size) throw damaged("offset of an item");
    return offset;
  }

  /** A long item, kept on a chain of pages of its own. */
  overflow(page: PageNumber, length: number): Uint8Array {
    if (length > this.#file.length) throw damaged("length of an item");
    const item = new Uint8Array(length);
    let filled = 0;
    for (let steps = 0; filled < length; steps++) {
      if (steps > this.count || this.type(page) !== Page.overflow) throw damaged("chain of a long item");
      const part = this.octets(page, PAGE_HEADER, Math.min(this.uint16(this.start(page) + 22), length - filled));
      if (part.length === 0) throw damaged("chain of a long item");
      item.set(part, filled);
      filled += part.length;
      page = filled < length ? this.next(page) : NO_PAGE;
    }
    return item;
  }
}

/** Extended linear hashing: buckets of pages, and two items on a page for each record. */
class HashReader implements DbFile {
  readonly #pages: Pages;
  readonly #maxBucket: number;
  readonly #highMask: number;
  readonly #lowMask: number;

  constructor(pages: Pages) {
    this.#pages = pages;
    if (!HASH_VERSIONS.includes(pages.uint32(16))) throw unknownVersion(pages.uint32(16));
    if (pages.uint32(48) !== 0) throw new DbDamaged("Berkeley DB files with duplicate keys are not read");
    this.#maxBucket = pages.uint32(72);
    this.#highMask = pages.uint32(76);
    this.#lowMask = pages.uint32(80);
    if (this.#maxBucket >= pages.count) throw damaged("count of buckets");
  }

  get(key: Uint8Array): Uint8Array | null {
    const hash = hashOf(key);
    let bucket = (hash & this.#highMask) >>> 0;
    if (bucket > this.#maxBucket) bucket = (bucket & this.#lowMask) >>> 0;
    if (bucket > this.#maxBucket) throw damaged("masks");
    for (const page of this.#chain(bucket)) {
      for (let index = 0; index + 1 < this.#pages.entries(page); index += 2) {
        if (this.#equals(page, index, key)) return this.#item(page, index + 1);
      }
    }
    return null;
  }

  *records(): Generator<DbRecord> {
    for (let bucket = 0; bucket <= this.#maxBucket; bucket++) {
      for (const page of this.#chain(bucket)) {
        for (let index = 0; index + 1 < this.#pages.entries(page); index += 2) {
          yield { key: this.#item(page, index), value: this.#item(page, index + 1) };
        }
      }
    }
  }

  *#chain(bucket: number): Generator<PageNumber> {
    // Buckets are numbered without the pages of long items; each doubling of the file has its own gap.
    let page = bucket + this.#pages.uint32(96 + 4 * Math.ceil(Math.log2(bucket + 1))) as PageNumber;
    for (let steps = 0; page !== 0; steps++) {
      if (steps > this.#pages.count) throw damaged("chain of a bucket");
      const type = this.#pages.type(page);
      // A bucket that was never written to is a page of zeros.
      if (type === 0 && this.#pages.entries(page) === 0) return;
      if (type !== Page.hash && type !== Page.hashUnsorted) throw damaged("page of a bucket");
      yield page;
      page = this.#pages.next(page);
    }
  }

  #equals(page: PageNumber, index: number, key: Uint8Array): boolean {
    const pages = this.#pages;
    const at = pages.offset(page, index);
    if (pages.uint8(pages.start(page) + at) === HashItem.keyData && this.#end(page, index) - at - 1 !== key.length) {
      return false;
    }
    return sameOctets(this.#item(page, index), key);
  }

  /** Items lie from the end of a page to its front, each up to where the one before it begins. */
  #end(page: PageNumber, index: number): number {
    return index === 0 ? this.#pages.size : this.#pages.offset(page, index - 1);
  }

  #item(page: PageNumber, index: number): Uint8Array {
    const pages = this.#pages;
    const at = pages.offset(page, index);
    const start = pages.start(page) + at;
    const type = pages.uint8(start);
    if (type === HashItem.keyData) return pages.octets(page, at + 1, this.#end(page, index) - at - 1);
    if (type === HashItem.offPage) return pages.overflow(pages.page(start + 4), pages.uint32(start + 8));
    throw new DbDamaged("Berkeley DB files with duplicate keys are not read");
  }
}

/** FNV, as libdb computes it. */
function hashOf(key: Uint8Array): number {
  let hash = 0;
  for (const octet of key) hash = Math.imul(hash, 16_777_619) ^ octet;
  return hash >>> 0;
}

/** A tree of sorted pages. */
class BtreeReader implements DbFile {
  readonly #pages: Pages;
  readonly #root: PageNumber;

  constructor(pages: Pages) {
    this.#pages = pages;
    if (!BTREE_VERSIONS.includes(pages.uint32(16))) throw unknownVersion(pages.uint32(16));
    if (pages.uint32(48) !== 0) {
      throw new DbDamaged("Berkeley DB files with duplicate keys or numbered records are not read");
    }
    this.#root = pages.page(88);
  }

  get(key: Uint8Array): Uint8Array | null {
    const page = this.#leaf((page) => this.#child(page, key));
    let low = 0, high = this.#pages.entries(page) >> 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compareOctets(this.#item(page, middle * 2), key);
      if (order === 0) return this.#deleted(page, middle * 2 + 1) ? null : this.#item(page, middle * 2 + 1);
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return null;
  }

  *records(): Generator<DbRecord> {
    let page = this.#leaf(() => 0);
    for (let steps = 0; page !== 0; steps++) {
      if (steps > this.#pages.count || this.#pages.type(page) !== Page.btreeLeaf) throw damaged("chain of leaves");
      for (let index = 0; index + 1 < this.#pages.entries(page); index += 2) {
        if (this.#deleted(page, index + 1)) continue;
        yield { key: this.#item(page, index), value: this.#item(page, index + 1) };
      }
      page = this.#pages.next(page);
    }
  }

  /** Walks down from the root: `choose` gives the index of the item to follow. */
  #leaf(choose: (page: PageNumber) => number): PageNumber {
    let page = this.#root;
    for (let level = 0; level < MAX_LEVELS; level++) {
      const type = this.#pages.type(page);
      if (type === Page.btreeLeaf) return page;
      if (type !== Page.btreeInternal || this.#pages.entries(page) === 0) throw damaged("page of the tree");
      page = this.#pages.page(this.#pages.start(page) + this.#pages.offset(page, choose(page)) + 4);
    }
    throw damaged("depth of the tree");
  }

  /** The last item of an internal page whose key is not behind `key`. The first one has no key: it comes before all. */
  #child(page: PageNumber, key: Uint8Array): number {
    let low = 1, high = this.#pages.entries(page);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareOctets(this.#innerKey(page, middle), key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #innerKey(page: PageNumber, index: number): Uint8Array {
    const pages = this.#pages;
    const at = pages.offset(page, index), start = pages.start(page) + at;
    if ((pages.uint8(start + 2) & ~BtreeItem.deleted) === BtreeItem.overflow) {
      return pages.overflow(pages.page(start + 16), pages.uint32(start + 20));
    }
    return pages.octets(page, at + 12, pages.uint16(start));
  }

  #deleted(page: PageNumber, index: number): boolean {
    return (this.#pages.uint8(this.#pages.start(page) + this.#pages.offset(page, index) + 2) & BtreeItem.deleted) !== 0;
  }

  #item(page: PageNumber, index: number): Uint8Array {
    const pages = this.#pages;
    const at = pages.offset(page, index), start = pages.start(page) + at;
    const type = pages.uint8(start + 2) & ~BtreeItem.deleted;
    if (type === BtreeItem.keyData) return pages.octets(page, at + 3, pages.uint16(start));
    if (type === BtreeItem.overflow) return pages.overflow(pages.page(start + 4), pages.uint32(start + 8));
    throw new DbDamaged("Berkeley DB files with duplicate keys are not read");
  }
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

function damaged(what: string): DbDamaged {
  return new DbDamaged(`damaged Berkeley DB file: impossible ${what}`);
}

function unknownVersion(version: number): DbDamaged {
  return new DbDamaged(`Berkeley DB files of version ${version} are not read`);
}
