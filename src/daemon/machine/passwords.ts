/**
 * Passwords that only the C library can verify: those of system accounts, by getspnam_r(3), and hashes of other schemes than the login
 * isolate's, by crypt_r(3). Both over FFI, off the thread. The account file can be read by root only. Keeps and logs nothing.
 */

import { timingSafeEqual } from "node:crypto";
import { libcPath } from "../../delivery/mod.ts";
import type { PasswordCheck } from "../../protocol/mod.ts";

const CRYPT = {
  crypt_r: { parameters: ["buffer", "buffer", "buffer"], result: "pointer", nonblocking: true },
} as const;
const SHADOW = {
  getspnam_r: { parameters: ["buffer", "buffer", "buffer", "usize", "buffer"], result: "i32", nonblocking: true },
} as const;

/** What reads a file of the form of shadow(5) that is not the system's. */
const SHADOW_FILE = {
  fopen: { parameters: ["buffer", "buffer"], result: "pointer" },
  fgetspent_r: { parameters: ["pointer", "buffer", "buffer", "usize", "buffer"], result: "i32" },
  fclose: { parameters: ["pointer"], result: "i32" },
} as const;

/** struct crypt_data of libxcrypt, and struct spwd of the C library on 64-bit Linux with three of its fields. */
const CRYPT_DATA = 32_768;
const SPWD = 72, NAME = 0, HASH = 8, EXPIRE = 56;
const TEXT_BYTES = 65_536;
const DAY_MS = 86_400_000;
/** Hashed when there is no such account, or none with a password: it must take as long as a wrong password does. */
const NOBODYS = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0";

/** The hash of an account; `null`: nobody can log in to it; `unknown`: it cannot be determined. */
export type ShadowHash = string | null | "unknown";

/** An entry as the C library writes it: the structure, and the text that it points into. */
interface Entry {
  readonly structure: Uint8Array<ArrayBuffer>;
  readonly text: Uint8Array<ArrayBuffer>;
}

export class Passwords {
  readonly #file: string | null;
  #crypt: Deno.DynamicLibrary<typeof CRYPT> | null | undefined;
  #shadow: Deno.DynamicLibrary<typeof SHADOW> | null | undefined;

  /** `file`: stands for the system's accounts, for tests; it needs no root. */
  constructor(file: string | null = null) {
    this.#file = file;
  }

  /** Verifies the password of a system account. */
  async ofAccount(user: string, password: string): Promise<PasswordCheck> {
    const hash = await this.#shadowHash(user);
    if (hash === "unknown") return hash;
    const check = await this.ofHash(hash ?? NOBODYS, password);
    return hash === null && check === "match" ? "mismatch" : check;
  }

  async ofHash(hash: string, password: string): Promise<PasswordCheck> {
    this.#crypt ??= open("libcrypt.so.1", CRYPT) ?? open("libcrypt.so.2", CRYPT);
    if (this.#crypt === null || password.includes("\0") || hash.includes("\0")) return "unknown";
    const data = new Uint8Array(CRYPT_DATA), key = cString(password), setting = cString(hash);
    const found = await this.#crypt.symbols.crypt_r(key, setting, data);
    // Named here so that they live as long as the call, which the runtime does not ensure; and no other code is to find them.
    key.fill(0);
    setting.fill(0);
    if (found === null) return "unknown";
    const made = new TextEncoder().encode(Deno.UnsafePointerView.getCString(found));
    data.fill(0);
    // crypt(5): a hash that begins with an asterisk is a failure.
    if (made[0] === 0x2a) return "unknown";
    const wanted = new TextEncoder().encode(hash);
    return made.length === wanted.length && timingSafeEqual(made, wanted) ? "match" : "mismatch";
  }

  close(): void {
    this.#crypt?.close();
    this.#shadow?.close();
    this.#crypt = this.#shadow = null;
  }

  async #shadowHash(user: string): Promise<ShadowHash> {
    if (user === "" || user.includes("\0")) return null;
    const entry = { structure: new Uint8Array(SPWD), text: new Uint8Array(TEXT_BYTES) };
    const found = this.#file === null ? await this.#find(user, entry) : findIn(this.#file, user, entry);
    return found === true ? hashOf(entry) : found;
  }

  /** Asks the name service. */
  async #find(user: string, { structure, text }: Entry): Promise<true | null | "unknown"> {
    this.#shadow ??= Deno.build.os === "linux" && Deno.uid() === 0 ? open(libcPath(), SHADOW) : null;
    if (this.#shadow === null) return "unknown";
    const found = new BigUint64Array(1), name = cString(user);
    const code = await this.#shadow.symbols.getspnam_r(name, structure, text, BigInt(TEXT_BYTES), found);
    // As in `ofHash`: it must stay as long as the call.
    name.fill(0);
    return found[0] !== 0n ? true : code === 0 ? null : "unknown";
  }
}

/** The hash of an entry that may log in with it. */
function hashOf(entry: Entry): ShadowHash {
  const expire = new DataView(entry.structure.buffer).getBigInt64(EXPIRE, true);
  if (expire > 0n && expire <= BigInt(Math.floor(Date.now() / DAY_MS))) return null;
  const hash = textAt(entry, HASH);
  // shadow(5): what is locked, or has no password, permits no login by one.
  return hash === null ? "unknown" : hash === "" || /^[!*]/.test(hash) ? null : hash;
}

/** The text that the pointer at `offset` of the structure leads to. */
function textAt({ structure, text }: Entry, offset: number): string | null {
  const pointer = new DataView(structure.buffer).getBigUint64(offset, true);
  const start = Number(pointer - BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(text))));
  const end = start >= 0 && start < TEXT_BYTES ? text.indexOf(0, start) : -1;
  return end < 0 ? null : new TextDecoder().decode(text.subarray(start, end));
}

/** Looks through a file for the user. */
function findIn(file: string, user: string, entry: Entry): true | null | "unknown" {
  const libc = open(libcPath(), SHADOW_FILE);
  if (libc === null) return "unknown";
  const stream = libc.symbols.fopen(cString(file), cString("re"));
  try {
    const found = new BigUint64Array(1);
    for (;;) {
      if (stream === null) return "unknown";
      const code = libc.symbols.fgetspent_r(stream, entry.structure, entry.text, BigInt(TEXT_BYTES), found);
      if (code !== 0 || found[0] === 0n) return null;
      if (textAt(entry, NAME) === user) return true;
    }
  } finally {
    if (stream !== null) libc.symbols.fclose(stream);
    libc.close();
  }
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

function open<S extends Deno.ForeignLibraryInterface>(path: string, symbols: S): Deno.DynamicLibrary<S> | null {
  if (Deno.build.os !== "linux") return null;
  try {
    return Deno.dlopen(path, symbols);
  } catch {
    return null;
  }
}
