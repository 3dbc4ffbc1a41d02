/**
 * The form in which bodies and envelopes lie in the database: compressed, encrypted, with a checksum. Bytes in, bytes out; knows no statements.
 * What is read back says itself how it was made, so that the settings may change from one start to the next.
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { CHUNK_BYTES, type QueueKeys } from "../isolate/mod.ts";

/** Bits of a chunk's form. */
const COMPRESSED = 1, SEALED = 2;
/** Below this, compression saves less than a row costs. */
const MIN_COMPRESSED = 256;
/** What does not become smaller by a tenth stays as it is. */
const WORTH = 0.9;
/** A larger chunk is compressed when this much of its start is worth it. */
const SAMPLE = 16 * 1024;
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A sealed record: key id, nonce, ciphertext, tag. */
const ID_BYTES = 6, NONCE_BYTES = 12, TAG_BYTES = 16;
const OVERHEAD = ID_BYTES + NONCE_BYTES + TAG_BYTES;
/** Octets of a nonce that are drawn at random; the others count. */
const NONCE_PREFIX = 8;
/** Marks a sealed text among clear ones, which hold no control characters. */
const SEALED_TEXT = "\u0001";

/** The record cannot be read: it was altered, or its key is not known. */
export class Damaged extends Error {}

/** A chunk as it is stored. `sum` is null in rows of old, which were not checked. */
export interface StoredChunk {
  readonly form: number;
  readonly sum: number | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface Key {
  /** 48 bits that tell this key from others and nothing about it. */
  readonly id: number;
  readonly secret: Uint8Array<ArrayBuffer>;
}

export class Records {
  readonly #compression: boolean;
  readonly #key: Key | null;
  readonly #keys = new Map<number, Key>();
  readonly #nonce = new Nonce();

  constructor(compression = false, keys: QueueKeys | null = null) {
    this.#compression = compression;
    this.#key = keys === null || keys.current === null ? null : deriveKey(keys.current);
    for (const key of [this.#key, ...(keys?.old ?? []).map(deriveKey)]) if (key !== null) this.#keys.set(key.id, key);
  }

  /** Number of the key that seals new records; null when nothing is sealed. */
  get keyId(): number | null {
    return this.#key?.id ?? null;
  }

  /** Records of this key can be read. */
  knows(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /** `key` is the chunk's place in the database: a sealed chunk can be read at no other. */
  encodeChunk(key: number, bytes: Uint8Array<ArrayBuffer>): StoredChunk {
    let form = 0;
    let stored = bytes;
    if (this.#compression && isWorth(bytes)) {
      const smaller = new Uint8Array(zstdCompressSync(bytes, FAST));
      if (smaller.length < bytes.length * WORTH) {
        stored = smaller;
        form |= COMPRESSED;
      }
    }
    if (this.#key !== null) {
      form |= SEALED;
      stored = this.#seal(this.#key, `chunk ${key} ${form}`, stored);
    }
    return { form, sum: crc32(stored), bytes: stored };
  }

  /** Throws Damaged. */
  decodeChunk(key: number, { form, sum, bytes }: StoredChunk): Uint8Array<ArrayBuffer> {
    if (sum !== null && crc32(bytes) !== sum) throw new Damaged("a part of its text is altered");
    let clear = (form & SEALED) === 0 ? bytes : this.#open(`chunk ${key} ${form}`, bytes);
    if ((form & COMPRESSED) !== 0) {
      try {
        clear = new Uint8Array(zstdDecompressSync(clear, { maxOutputLength: CHUNK_BYTES }));
      } catch {
        throw new Damaged("a part of its text cannot be decompressed");
      }
    }
    return clear;
  }

  /** The text sealed under the current key; null when nothing is to be sealed. `name` says what it is and whose. */
  sealFacts(name: string, text: string): Uint8Array<ArrayBuffer> | null {
    return this.#key === null ? null : this.#seal(this.#key, name, new TextEncoder().encode(text));
  }

  /** Throws Damaged. */
  openFacts(name: string, sealed: Uint8Array<ArrayBuffer>): string {
    return new TextDecoder().decode(this.#open(name, sealed));
  }

  /** A short text for a column of text; as it is when nothing is to be sealed. */
  sealText(name: string, text: string): string {
    if (this.#key === null || text === "") return text;
    return SEALED_TEXT + this.#seal(this.#key, name, new TextEncoder().encode(text)).toBase64();
  }

  /** Throws Damaged. */
  openText(name: string, text: string): string {
    if (!text.startsWith(SEALED_TEXT)) return text;
    let sealed: Uint8Array<ArrayBuffer>;
    try {
      sealed = Uint8Array.fromBase64(text.slice(1));
    } catch {
      throw new Damaged("a sealed text is altered");
    }
    return new TextDecoder().decode(this.#open(name, sealed));
  }

  #seal(key: Key, name: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const sealed = new Uint8Array(bytes.length + OVERHEAD);
    new DataView(sealed.buffer).setUint16(0, Math.floor(key.id / 2 ** 32));
    new DataView(sealed.buffer).setUint32(2, key.id % 2 ** 32);
    const nonce = sealed.subarray(ID_BYTES, ID_BYTES + NONCE_BYTES);
    this.#nonce.next(nonce);
    const cipher = createCipheriv("aes-256-gcm", key.secret, nonce);
    cipher.setAAD(new TextEncoder().encode(name));
    sealed.set(cipher.update(bytes), ID_BYTES + NONCE_BYTES);
    cipher.final();
    sealed.set(cipher.getAuthTag(), sealed.length - TAG_BYTES);
    return sealed;
  }

  #open(name: string, sealed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (sealed.length < OVERHEAD) throw new Damaged("a sealed record is cut short");
    const key = this.#keys.get(keyIdOf(sealed));
    if (key === undefined) throw new Damaged("it is encrypted with a key that is not known");
    try {
      const nonce = sealed.subarray(ID_BYTES, ID_BYTES + NONCE_BYTES);
      const cipher = createDecipheriv("aes-256-gcm", key.secret, nonce);
      cipher.setAAD(new TextEncoder().encode(name));
      cipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      const clear = new Uint8Array(cipher.update(sealed.subarray(ID_BYTES + NONCE_BYTES, sealed.length - TAG_BYTES)));
      cipher.final();
      return clear;
    } catch {
      throw new Damaged("a sealed record is altered, or stands where it does not belong");
    }
  }
}

/** Number of the key that a sealed record was made with. */
export function keyIdOf(sealed: Uint8Array): number {
  const view = new DataView(sealed.buffer, sealed.byteOffset);
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2);
}

/** Checksum of an envelope's row. */
export function rowSum(text: string, sealed: Uint8Array | null): number {
  return sealed === null ? crc32(text) : crc32(sealed, crc32(text));
}

function isWorth(bytes: Uint8Array): boolean {
  if (bytes.length < MIN_COMPRESSED) return false;
  if (bytes.length <= SAMPLE) return true;
  return zstdCompressSync(bytes.subarray(0, SAMPLE), FAST).length < SAMPLE * WORTH;
}

/** Names and records have nothing to tell about the key itself, nor one use of it about the other. */
function deriveKey(key: Uint8Array): Key {
  const derive = (use: string, length: number) => new Uint8Array(hkdfSync("sha256", key, "", use, length));
  const id = derive("vaultpost queue key id", 8);
  const view = new DataView(id.buffer);
  return { id: view.getUint16(0) * 2 ** 32 + view.getUint32(2), secret: derive("vaultpost queue records", 32) };
}

/** No nonce comes twice under one key (NIST SP 800-38D §8.2): a random prefix for each start, then a counter. */
class Nonce {
  #prefix = randomBytes(NONCE_PREFIX);
  #count = 0;

  next(nonce: Uint8Array): void {
    if (this.#count > 0xffff_ffff) {
      this.#prefix = randomBytes(NONCE_PREFIX);
      this.#count = 0;
    }
    nonce.set(this.#prefix);
    new DataView(nonce.buffer, nonce.byteOffset).setUint32(NONCE_PREFIX, this.#count++);
  }
}
