/**
 * The form in which bodies and envelopes lie in the database: compressed, encrypted, with a checksum. Bytes in, bytes out; uses no statements.
 * What is read back says itself how it was made, so that the settings may change from one start to the next.
 */

import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { QueueKeys } from "../../protocol/mod.ts";
import { CHUNK_BYTES } from "../../protocol/smtp_queue.ts";
import { Damaged, RecordCipher } from "./record_cipher.ts";

export { Damaged } from "./record_cipher.ts";

/** Bits of a chunk's form. */
const COMPRESSED = 1, SEALED = 2;
/** Below this, compression saves less than a row costs. */
const MIN_COMPRESSED_BYTES = 256;
/** What does not become smaller by a tenth stays as it is. */
const WORTH_RATIO = 0.9;
/** A larger chunk is compressed when this much of its start is worth it. */
const SAMPLE = 16 * 1024;
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Marks a sealed text among clear ones, which hold no control characters. */
const SEALED_TEXT = "\u0001";

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** A chunk as it is stored. `sum` is null in rows of old, which were not checked. */
export interface StoredChunk {
  readonly form: number;
  readonly sum: number | null;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Bytes = Uint8Array<ArrayBuffer>;

interface RecordOptions {
  readonly compression?: boolean;
  readonly keys?: QueueKeys | null;
}

export class Records {
  /** What is worth it is compressed. */
  compression: boolean;
  readonly #cipher: RecordCipher;

  /** `compression`: what is worth it is compressed. `keys`: what is written is sealed with the current one. */
  constructor({ compression = false, keys = null }: RecordOptions = {}) {
    this.compression = compression;
    this.#cipher = new RecordCipher(keys);
  }

  /** Number of the key that encrypts new records; null when none are encrypted. */
  get keyId(): number | null {
    return this.#cipher.keyId;
  }

  /** Records of this key can be read. */
  knows(keyId: number): boolean {
    return this.#cipher.knows(keyId);
  }

  /**
   * `key` is the chunk's place in the database: a sealed chunk can be read at no other. A promise when it is sealed and long: that is done off
   * this thread, and `bytes` must not change meanwhile.
   */
  encodeChunk(key: number, bytes: Bytes): StoredChunk | Promise<StoredChunk> {
    const { form, sealedForm, packed } = this.#pack(bytes);
    const sealed = this.keyId === null ? null : this.#cipher.encryptSoon(chunkName({ key, form: sealedForm }), packed);
    if (sealed === null) return finished(form, packed);
    if (sealed instanceof Promise) return sealed.then((bytes) => finished(sealedForm, bytes));
    return finished(sealedForm, sealed);
  }

  /** Compressed if that is configured and worth it. This is done here: the runtime compresses on the calling thread in any case. */
  #pack(bytes: Bytes): { readonly form: number; readonly sealedForm: number; readonly packed: Bytes } {
    if (this.compression && isWorth(bytes)) {
      const smaller = new Uint8Array(zstdCompressSync(bytes, FAST));
      if (smaller.length < bytes.length * WORTH_RATIO) {
        return { form: COMPRESSED, sealedForm: COMPRESSED | SEALED, packed: smaller };
      }
    }
    return { form: 0, sealedForm: SEALED, packed: bytes };
  }

  /** A promise when it is sealed and long. Throws Damaged, or the promise is rejected with it. */
  decodeChunk(key: number, chunk: StoredChunk): Bytes | Promise<Bytes> {
    const { form, bytes } = checked(chunk);
    const clear = (form & SEALED) === 0 ? bytes : this.#cipher.decryptSoon(chunkName({ key, form }), bytes);
    return clear instanceof Promise ? clear.then((bytes) => unpack(form, bytes)) : unpack(form, clear);
  }

  /** The text sealed under the current key; null when nothing is to be sealed. `name` says what it is and whose. */
  encryptContent(name: string, text: string): Bytes | null {
    return this.keyId === null ? null : this.#cipher.encrypt(name, encoder.encode(text));
  }

  /** Throws Damaged. */
  decryptContent(name: string, sealed: Bytes): string {
    return decoder.decode(this.#cipher.decrypt(name, sealed));
  }

  /** A short text for a column of text; as it is when nothing is to be sealed. */
  encryptText(name: string, text: string): string {
    const sealed = text === "" ? null : this.encryptContent(name, text);
    return sealed === null ? text : SEALED_TEXT + sealed.toBase64();
  }

  /** Throws Damaged. */
  decryptText(name: string, text: string): string {
    if (!text.startsWith(SEALED_TEXT)) return text;
    let sealed: Bytes;
    try {
      sealed = Uint8Array.fromBase64(text.slice(1));
    } catch {
      throw new Damaged("a sealed text is altered");
    }
    return this.decryptContent(name, sealed);
  }
}

/** Checksum of an envelope's row. */
export function rowSum(text: string, sealed: Uint8Array | null): number {
  return sealed === null ? crc32(text) : crc32(sealed, crc32(text));
}

function isWorth(bytes: Uint8Array): boolean {
  if (bytes.length < MIN_COMPRESSED_BYTES) return false;
  if (bytes.length <= SAMPLE) return true;
  return zstdCompressSync(bytes.subarray(0, SAMPLE), FAST).length < SAMPLE * WORTH_RATIO;
}

function chunkName({ key, form }: { readonly key: number; readonly form: number }): string {
  return `chunk ${key} ${form}`;
}

function finished(form: number, bytes: Bytes): StoredChunk {
  return { form, sum: crc32(bytes), bytes };
}

function checked(chunk: StoredChunk): StoredChunk {
  if (chunk.sum !== null && crc32(chunk.bytes) !== chunk.sum) throw new Damaged("a part of its text is altered");
  return chunk;
}

function unpack(form: number, bytes: Bytes): Bytes {
  if ((form & COMPRESSED) === 0) return bytes;
  // One buffer that fits a large chunk is filled sooner than many small ones.
  const room = bytes.length < SAMPLE ? {} : { chunkSize: CHUNK_BYTES };
  try {
    return new Uint8Array(zstdDecompressSync(bytes, { ...room, maxOutputLength: CHUNK_BYTES }));
  } catch {
    throw new Damaged("a part of its text cannot be decompressed");
  }
}
