/**
 * Accounts of the machine's name service: getpwnam_r(3) over FFI, off the thread, so that a slow directory server delays nothing else. Where
 * the C library is not known there are no accounts but those of /etc/passwd, which lookup reads itself.
 */

import { libcPath } from "../../delivery/mod.ts";
import type { Account } from "../../protocol/mod.ts";

const SYMBOLS = {
  getpwnam_r: {
    parameters: ["buffer", "buffer", "buffer", "usize", "buffer"],
    result: "i32",
    nonblocking: true,
  },
} as const;

/** struct passwd of the C library on 64-bit Linux: where the uid, the gid and the pointer to the home stand, and its size. */
const UID = 16, GID = 20, HOME = 32, SIZE = 48;
/** The text of an account; doubled until it fits. */
const TEXT_BYTES = 4096, MAX_TEXT_OCTETS = 1 << 20;
const ERANGE = 34;
/** ENOENT, ESRCH, EBADF, EPERM: what getpwnam(3) says may mean "no such account". */
const NO_SUCH: ReadonlySet<number> = new Set([0, 1, 2, 3, 9]);

type Answer = Account | null | { readonly error: string };

export class NameService {
  #libc: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

  /** The account of exactly this name. */
  async find(name: string): Promise<Answer> {
    this.#libc ??= open();
    if (this.#libc === null || name === "" || name.includes("\0")) return null;
    for (let bytes = TEXT_BYTES; bytes <= MAX_TEXT_OCTETS; bytes *= 2) {
      const answer = await this.#ask(this.#libc, name, bytes);
      if (answer !== ERANGE) return answer;
    }
    return { error: `The account "${name}" is too long` };
  }

  close(): void {
    this.#libc?.close();
    this.#libc = null;
  }

  async #ask(libc: Deno.DynamicLibrary<typeof SYMBOLS>, name: string, bytes: number): Promise<Answer | typeof ERANGE> {
    const entry = new Uint8Array(SIZE), text = new Uint8Array(bytes), found = new BigUint64Array(1);
    const key = new TextEncoder().encode(`${name}\0`);
    const code = await libc.symbols.getpwnam_r(key, entry, text, BigInt(bytes), found);
    // The runtime does not keep what a call on another thread reads: the caller has to.
    key.fill(0);
    if (code === ERANGE) return ERANGE;
    if (found[0] === 0n) {
      return NO_SUCH.has(code) ? null : { error: `getpwnam: ${name}: error ${code}` };
    }
    const view = new DataView(entry.buffer);
    const start = view.getBigUint64(HOME, true) - BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)));
    const home = start >= 0n && start < BigInt(bytes) ? cString(text, Number(start)) : null;
    if (home === null) return { error: `getpwnam: ${name}: an answer that cannot be read` };
    return { name, uid: view.getUint32(UID, true), gid: view.getUint32(GID, true), home };
  }
}

function cString(bytes: Uint8Array, start: number): string | null {
  const end = bytes.indexOf(0, start);
  return end < 0 ? null : new TextDecoder().decode(bytes.subarray(start, end));
}

function open(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  if (Deno.build.os !== "linux") return null;
  try {
    return Deno.dlopen(libcPath(), SYMBOLS);
  } catch {
    return null;
  }
}
