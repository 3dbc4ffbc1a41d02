/**
 * System calls by number over FFI, with the error of each. The C library is opened once, and that needs the permission ffi for its path alone: addresses
 * and errno are asked of memcpy(3), as Deno.UnsafePointer would want the whole permission each time. So everything goes on working after the permission
 * was given up (`Deno.permissions.revokeSync({ name: "ffi" })`), in calls that wait on another thread too; a test holds it.
 */

import { getSystemErrorMap } from "node:util";
import { type SyscallName, syscallNumber } from "./syscalls.ts";

/** Where glibc is: Debian and its kin, then the others. Their names are what the permission is asked for. */
export const LIBC_PATHS: readonly string[] = [
  `/lib/${Deno.build.arch}-linux-gnu/libc.so.6`,
  "/lib64/libc.so.6",
  "/usr/lib/libc.so.6",
];

const SYMBOLS = {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  /** Waits on a thread of its own. */
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  waitid: { parameters: ["i32", "u32", "buffer", "i32"], result: "i32", nonblocking: true },
  __errno_location: { parameters: [], result: "usize" },
  /** Copies nothing, and returns where the first one is. */
  addressOf: { name: "memcpy", parameters: ["buffer", "buffer", "usize"], result: "usize" },
  copyFrom: { name: "memcpy", parameters: ["buffer", "usize", "usize"], result: "usize" },
} as const;

export const EPERM = 1, ENOENT = 2, EINTR = 4, EAGAIN = 11, ENOTDIR = 20, ENOSYS = 38, EOPNOTSUPP = 95;
const ENOBUFS = 105, EPIPE = 32, ECONNRESET = 104, ENOTCONN = 107, ETOOMANYREFS = 109, ENOMEM = 12, ECONNREFUSED = 111;

/** What a socket says that has no room now, or that nobody listens to any more. */
export const FULL_OR_GONE: readonly number[] = [
  EAGAIN,
  ENOBUFS,
  ENOMEM,
  ETOOMANYREFS,
  EPIPE,
  ECONNRESET,
  ENOTCONN,
  ECONNREFUSED,
];

/** A call that the kernel refused. */
export class KernelError extends Error {
  constructor(readonly call: string, readonly errno: number, doing: string) {
    super(`${doing}: ${call}: ${errorText(errno)}`);
    this.name = "KernelError";
  }
}

/** Returns an errno in words, such as `operation not permitted (EPERM)`. */
export function errorText(errno: number): string {
  const [name, text] = getSystemErrorMap().get(-errno) ?? [];
  return name === undefined ? `error ${errno}` : `${text} (${name})`;
}

/** Memory that stays where it is; `address` goes into structures of the C library. */
export interface Pinned {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly address: bigint;
}

/** Returns a C string. Throws a TypeError where it has an octet 0. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`There is a NUL in ${JSON.stringify(text)}`);
  return new TextEncoder().encode(text + "\0");
}

const NOTHING = new Uint8Array(new ArrayBuffer(8));

export class Libc {
  readonly symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Where this thread's is. An isolate stays on one thread. */
  readonly #errnoAt: bigint;
  readonly #errno = new Int32Array(new ArrayBuffer(4));
  /** Kept from the collector while the kernel has their addresses. */
  #inUse: readonly unknown[] = [];

  constructor() {
    if (Deno.build.os !== "linux") throw new Error("System calls are known for Linux only");
    this.symbols = open().symbols;
    this.#errnoAt = this.symbols.__errno_location();
  }

  /** The error of the last call that failed, asked right after it. */
  get errno(): number {
    this.symbols.copyFrom(this.#errno, this.#errnoAt, 4n);
    return this.#errno[0]!;
  }

  /** Returns the address of octets, which have to be kept while it is used. */
  addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
    // Asked for its buffer, a small array moves out of the collected heap for good.
    const { buffer, byteOffset } = bytes;
    return this.symbols.addressOf(new Uint8Array(buffer), NOTHING, 0n) + BigInt(byteOffset);
  }

  /** Returns zeroed memory with its address. */
  pin(octets: number): Pinned {
    const bytes = new Uint8Array(new ArrayBuffer(octets));
    return { bytes, view: new DataView(bytes.buffer), address: this.addressOf(bytes) };
  }

  /** Makes a raw system call, which changes only this thread. Returns its result, or the negative errno. Octets are passed as their address. */
  call(name: SyscallName, ...args: readonly (number | bigint | Uint8Array<ArrayBuffer>)[]): number {
    const number = syscallNumber(name);
    if (number === null) return -ENOSYS;
    this.#inUse = args;
    const word = (at: number) => {
      const arg = args[at];
      return arg instanceof Uint8Array ? this.addressOf(arg) : BigInt(arg ?? 0);
    };
    const result = this.symbols.syscall(BigInt(number), word(0), word(1), word(2), word(3), word(4), word(5));
    const failed = result < 0n ? this.errno : 0;
    this.#inUse = [];
    return failed === 0 ? Number(result) : -failed;
  }

  /** As call(). Throws a KernelError that says what was `doing` when it fails. */
  must(doing: string, name: SyscallName, ...args: readonly (number | bigint | Uint8Array<ArrayBuffer>)[]): number {
    const result = this.call(name, ...args);
    if (result < 0) throw new KernelError(`${name}(2)`, -result, doing);
    return result;
  }
}

function open(): Deno.DynamicLibrary<typeof SYMBOLS> {
  const reasons: string[] = [];
  for (const path of LIBC_PATHS) {
    try {
      return Deno.dlopen(path, SYMBOLS);
    } catch (error) {
      reasons.push(String((error as Error).message));
    }
  }
  throw new Error(`The C library (glibc) cannot be loaded, looked for ${LIBC_PATHS.join(", ")}: ${reasons[0]}`);
}

let opened: Libc | null = null;

/** Returns the C library of this isolate, opened when it is first asked for; until then the permission is needed. Throws where there is none. */
export function libc(): Libc {
  return opened ??= new Libc();
}
