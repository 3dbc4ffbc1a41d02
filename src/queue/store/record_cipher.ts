/**
 * AES-256-GCM over records: on this thread for what is short, off it for what is long. Bytes in, bytes out; independent of chunks and envelopes.
 */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { QueueKeys } from "../../protocol/mod.ts";

/** A sealed record: key id, nonce, ciphertext, tag. */
const ID_BYTES = 6, NONCE_BYTES = 12, TAG_BYTES = 16;
const HEAD = ID_BYTES + NONCE_BYTES;
const OVERHEAD = HEAD + TAG_BYTES;
/** Octets of a nonce that are drawn at random; the others count. */
const NONCE_PREFIX = 8;
/** From here on another thread is done sooner, and costs this one less, than sealing here. */
const MIN_APART_BYTES = 16 * 1024;
/** Records that are sealed or opened off the thread at once; the others wait in order. More would only be more threads. */
const MAX_APART_TASKS = 4;
const CIPHER = "aes-256-gcm", TAG = { authTagLength: TAG_BYTES };

const encoder = new TextEncoder();

/** The record cannot be read: it was altered, or its key is not known. */
export class Damaged extends Error {}

interface Key {
  /** 48 bits that identify this key and reveal nothing about it. */
  readonly id: number;
  readonly secret: Uint8Array<ArrayBuffer>;
  /** The same for use off the thread, made at first use. */
  apart: Promise<CryptoKey> | null;
}

export class RecordCipher {
  readonly #key: Key | null;
  readonly #keys = new Map<number, Key>();
  readonly #nonce = new Nonce();
  readonly #turns = new WorkQueue(MAX_APART_TASKS);

  constructor(keys: QueueKeys | null) {
    this.#key = keys === null || keys.current === null ? null : deriveKey(keys.current);
    for (const key of [this.#key, ...(keys?.old ?? []).map(deriveKey)]) if (key !== null) this.#keys.set(key.id, key);
  }

  /** Number of the key that encrypts; null when nothing is encrypted. */
  get keyId(): number | null {
    return this.#key?.id ?? null;
  }

  /** Records of this key can be opened. */
  knows(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /** Null when nothing is to be sealed. `name` says what it is and whose: it can be opened under no other. */
  encrypt(name: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> | null {
    const key = this.#key;
    if (key === null) return null;
    const sealed = this.#begin(key, bytes);
    const cipher = createCipheriv(CIPHER, key.secret, nonceOf(sealed), TAG);
    cipher.setAAD(encoder.encode(name));
    sealed.set(cipher.update(bytes), HEAD);
    cipher.final();
    sealed.set(cipher.getAuthTag(), sealed.length - TAG_BYTES);
    return sealed;
  }

  /** As `encrypt`, with a promise for what is long: until it is kept, `bytes` must not change. */
  encryptSoon(
    name: string,
    bytes: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> | null {
    const key = this.#key;
    if (key === null || bytes.length < MIN_APART_BYTES) return this.encrypt(name, bytes);
    return this.#turns.take(async () => {
      const sealed = this.#begin(key, bytes);
      const made = await crypto.subtle.encrypt(paramsOf(name, sealed), await apart(key), bytes);
      sealed.set(new Uint8Array(made), HEAD);
      return sealed;
    });
  }

  /** Throws Damaged. */
  decrypt(name: string, sealed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const key = this.#keyOf(sealed);
    const end = sealed.length - TAG_BYTES;
    try {
      const cipher = createDecipheriv(CIPHER, key.secret, nonceOf(sealed), TAG);
      cipher.setAAD(encoder.encode(name));
      cipher.setAuthTag(sealed.subarray(end));
      const clear = new Uint8Array(cipher.update(sealed.subarray(HEAD, end)));
      cipher.final();
      return clear;
    } catch {
      throw altered();
    }
  }

  /** As `decrypt`, with a promise for what is long, which is rejected with Damaged. */
  decryptSoon(
    name: string,
    sealed: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    if (sealed.length < MIN_APART_BYTES) return this.decrypt(name, sealed);
    const key = this.#keyOf(sealed);
    return this.#turns.take(async () => {
      const secret = await apart(key);
      try {
        return new Uint8Array(await crypto.subtle.decrypt(paramsOf(name, sealed), secret, sealed.subarray(HEAD)));
      } catch {
        throw altered();
      }
    });
  }

  /** Room for the sealed record, with its key's number and a fresh nonce in place. */
  #begin(key: Key, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    const sealed = new Uint8Array(bytes.length + OVERHEAD);
    const view = new DataView(sealed.buffer);
    view.setUint16(0, Math.floor(key.id / 2 ** 32));
    view.setUint32(2, key.id % 2 ** 32);
    this.#nonce.next(nonceOf(sealed));
    return sealed;
  }

  #keyOf(sealed: Uint8Array): Key {
    if (sealed.length < OVERHEAD) throw new Damaged("a sealed record is cut short");
    const key = this.#keys.get(keyIdOf(sealed));
    if (key === undefined) throw new Damaged("it is encrypted with a key that is not known");
    return key;
  }
}

function keyIdOf(sealed: Uint8Array): number {
  const view = new DataView(sealed.buffer, sealed.byteOffset);
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2);
}

function nonceOf(sealed: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return sealed.subarray(ID_BYTES, HEAD);
}

function paramsOf(name: string, sealed: Uint8Array<ArrayBuffer>): AesGcmParams {
  return { name: "AES-GCM", iv: nonceOf(sealed), additionalData: encoder.encode(name) };
}

function altered(): Damaged {
  return new Damaged("a sealed record is altered, or stands where it does not belong");
}

function apart(key: Key): Promise<CryptoKey> {
  return key.apart ??= crypto.subtle.importKey("raw", key.secret, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** Names and records reveal nothing about the key itself, nor one use of it about the other. */
function deriveKey(key: Uint8Array): Key {
  const derive = (use: string, length: number) => new Uint8Array(hkdfSync("sha256", key, "", use, length));
  const id = derive("vaultpost queue key id", 8);
  const view = new DataView(id.buffer);
  return {
    id: view.getUint16(0) * 2 ** 32 + view.getUint32(2),
    secret: derive("vaultpost queue records", 32),
    apart: null,
  };
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

/** Lets so many works run at once; the others begin in the order in which they came. */
class WorkQueue {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
