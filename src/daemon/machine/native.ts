/**
 * What main asks of the C library over FFI, and nothing else does: who is on the other end of a unix socket, where inherited sockets are
 * bound, how many files it may open (/proc would ask for all permissions), syslog(3), and the state for the service manager. Without the FFI permission, or where libc is not known, all say "unknown".
 */

import type { LogLevel } from "../../events/mod.ts";

const LIBC = { linux: "libc.so.6", darwin: "libSystem.dylib", freebsd: "libc.so.7" } as Record<string, string>;

const SYMBOLS = {
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  dup: { parameters: ["i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  ioctl: { parameters: ["i32", "u64"], result: "i32" },
  openlog: { parameters: ["buffer", "i32", "i32"], result: "void" },
  syslog: { parameters: ["i32", "buffer", "buffer"], result: "void" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  waitid: { parameters: ["i32", "u32", "buffer", "i32"], result: "i32" },
} as const;

/** ioctl(2) request: close the descriptor in programs that this process starts. */
const FIOCLEX: Record<string, bigint> = { linux: 0x5451n, darwin: 0x20006601n, freebsd: 0x20006601n };
const SOL_SOCKET = 1, SO_PEERCRED = 17;
const SO_TYPE = 3, SO_ACCEPTCONN = 30, SOCK_STREAM = 1;
/** A number that no other socket has for as long as the machine runs. */
const SO_COOKIE = 57;
const SHUT_RDWR = 2;
const POLLIN = 1;
const CLOCK_MONOTONIC = 1;
const AF_UNIX = 1, SOCK_DGRAM_CLOEXEC = 2 | 0o2000000, MSG_NOSIGNAL = 0x4000, MSG_DONTWAIT = 0x40;
/** Octets of the path of a unix socket. */
const MAX_SOCKET_PATH_OCTETS = 107;
/** Descriptors among which those are looked for that were left open. */
const MAX_INHERITED_DESCRIPTORS = 4096;
/** Octets of the longest address. */
const MAX_SOCKADDR_OCTETS = 128;
const O_RDONLY_CLOEXEC = 0o2000000, MAX_COMMAND_LINE_OCTETS = 256 * 1024;
/** waitid(2) that takes nothing away: is there such a child, and may it be waited for? */
const P_PID = 1, WNOHANG = 1, WEXITED = 4, WNOWAIT = 0x01000000, SIGINFO_BYTES = 128;
const RLIMIT_NOFILE = Deno.build.os === "linux" ? 7 : 8;
const LOG_PID = 1, LOG_MAIL = 2 << 3;
const PRIORITY: Record<LogLevel, number> = { crit: 2, warn: 4, info: 6, debug: 7 };

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>;

function text(value: string): Uint8Array<ArrayBuffer> {
  // C strings end at the first NUL.
  return new TextEncoder().encode(value.replaceAll("\0", "") + "\0");
}

export class Native {
  readonly #libc: Libc | null;
  // Kept alive: openlog(3) keeps the pointer.
  readonly #ident = text("smtpd");
  #opened = false;

  constructor() {
    this.#libc = openLibc();
  }

  /** Uid of the process on the other end of a connected unix socket; null when it cannot be determined. */
  peerUid(descriptor: number): number | null {
    if (this.#libc === null || Deno.build.os !== "linux") return null;
    const credentials = new Uint32Array(3); // struct ucred: pid, uid, gid
    const length = new Uint32Array([credentials.byteLength]);
    const failed = this.#libc.symbols.getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length);
    return failed === 0 ? credentials[1]! : null;
  }

  /** Address of a stream socket that listens, as `getsockname` has it; null when the descriptor is none. Linux only. */
  listeningAt(descriptor: number): Uint8Array | null {
    if (this.#option(descriptor, SO_TYPE) !== SOCK_STREAM || this.#option(descriptor, SO_ACCEPTCONN) !== 1) return null;
    const address = new Uint8Array(MAX_SOCKADDR_OCTETS);
    const length = new Uint32Array([MAX_SOCKADDR_OCTETS]);
    if (this.#libc!.symbols.getsockname(descriptor, address, length) !== 0) return null;
    return address.subarray(0, Math.min(length[0]!, MAX_SOCKADDR_OCTETS));
  }

  /** True when a connection waits to be accepted at a listening socket. Linux only. */
  someoneWaits(descriptor: number): boolean {
    if (this.#libc === null || Deno.build.os !== "linux") return false;
    const asked = new DataView(new ArrayBuffer(8)); // struct pollfd: fd, events, revents
    asked.setInt32(0, descriptor, true);
    asked.setInt16(4, POLLIN, true);
    const ready = this.#libc.symbols.poll(new Uint8Array(asked.buffer), 1n, 0);
    return ready === 1 && asked.getInt16(6, true) === POLLIN;
  }

  /** Another descriptor for the same socket, kept from the programs that this process starts. Null when there is none left. */
  duplicate(descriptor: number): number | null {
    const copy = this.#libc?.symbols.dup(descriptor) ?? -1;
    if (copy < 0) return null;
    this.closeOnExec(copy);
    return copy;
  }

  /** A mark of the socket, by which it is known when its descriptor may be another's. Null when it is none. Linux only. */
  socketCookie(descriptor: number): bigint | null {
    if (this.#libc === null || Deno.build.os !== "linux") return null;
    const value = new BigUint64Array(1);
    const length = new Uint32Array([value.byteLength]);
    const failed = this.#libc.symbols.getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, value, length);
    return failed === 0 ? value[0]! : null;
  }

  /** Ends a connection, both ways, and leaves the descriptor open. */
  shutDown(descriptor: number): void {
    this.#libc?.symbols.shutdown(descriptor, SHUT_RDWR);
  }

  close(descriptor: number): void {
    this.#libc?.symbols.close(descriptor);
  }

  #option(descriptor: number, option: typeof SO_TYPE | typeof SO_ACCEPTCONN): number | null {
    if (this.#libc === null || Deno.build.os !== "linux") return null;
    const value = new Uint32Array(1);
    const failed = this.#libc.symbols.getsockopt(descriptor, SOL_SOCKET, option, value, new Uint32Array([4]));
    return failed === 0 ? value[0]! : null;
  }

  /** Sends a datagram to a unix socket, as sd_notify(3) does; `path` may begin with `@`. False when it did not go. Linux only. */
  notify(path: string, message: string): boolean {
    if (this.#libc === null || Deno.build.os !== "linux") return false;
    const name = new TextEncoder().encode(path.replace(/^@/, "\0"));
    if (name.length === 0 || name.length > MAX_SOCKET_PATH_OCTETS) return false;
    const address = new Uint8Array(2 + name.length);
    address[0] = AF_UNIX;
    address.set(name, 2);
    const descriptor = this.#libc.symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (descriptor < 0) return false;
    const bytes = new TextEncoder().encode(message);
    const { sendto, close } = this.#libc.symbols;
    const sent = sendto(descriptor, bytes, BigInt(bytes.length), MSG_NOSIGNAL, address, address.length);
    close(descriptor);
    return Number(sent) === bytes.length;
  }

  /** A socket for datagrams to unix sockets; null where there is none to be had. Linux only. */
  datagramSocket(): number | null {
    if (this.#libc === null || Deno.build.os !== "linux") return null;
    const descriptor = this.#libc.symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    return descriptor < 0 ? null : descriptor;
  }

  /** Sends a datagram to the unix socket at `path` at once or not at all: false when it did not go. */
  sendDatagram(descriptor: number, path: string, bytes: Uint8Array<ArrayBuffer>): boolean {
    const name = new TextEncoder().encode(path);
    if (this.#libc === null || name.length === 0 || name.length > MAX_SOCKET_PATH_OCTETS) return false;
    const address = new Uint8Array(2 + name.length);
    address[0] = AF_UNIX;
    address.set(name, 2);
    const flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    const { sendto } = this.#libc.symbols;
    return Number(sendto(descriptor, bytes, BigInt(bytes.length), flags, address, address.length)) === bytes.length;
  }

  /** Microseconds of the monotonic clock, which service managers compare; null when it cannot be read. Linux only. */
  monotonicMicroseconds(): bigint | null {
    if (this.#libc === null || Deno.build.os !== "linux") return null;
    const time = new BigInt64Array(2); // struct timespec: seconds, nanoseconds
    if (this.#libc.symbols.clock_gettime(CLOCK_MONOTONIC, time) !== 0) return null;
    return time[0]! * 1_000_000n + time[1]! / 1000n;
  }

  /** How many descriptors this process may have open; null when it cannot be determined. */
  openFileLimit(): number | null {
    if (this.#libc === null) return null;
    const limit = new BigUint64Array(2); // struct rlimit: soft, hard
    return this.#libc.symbols.getrlimit(RLIMIT_NOFILE, limit) === 0 ? Number(limit[0]!) : null;
  }

  /** Keeps a descriptor from the programs that this process starts. The runtime forgets to for unix sockets that listen. */
  closeOnExec(descriptor: number): void {
    const request = FIOCLEX[Deno.build.os];
    if (request !== undefined) this.#libc?.symbols.ioctl(descriptor, request);
  }

  /** As closeOnExec, for all that the parent process has left open. */
  closeAllOnExec(): void {
    const most = Math.min(this.openFileLimit() ?? 0, MAX_INHERITED_DESCRIPTORS);
    for (let descriptor = 3; descriptor < most; descriptor++) this.closeOnExec(descriptor);
  }

  /** The words that this process was started with, as the kernel has them; none where that cannot be determined. Linux only. */
  commandLine(): string[] {
    if (this.#libc === null || Deno.build.os !== "linux") return [];
    // The runtime would ask for all permissions to read it.
    const descriptor = this.#libc.symbols.open(text("/proc/self/cmdline"), O_RDONLY_CLOEXEC);
    if (descriptor < 0) return [];
    const bytes = new Uint8Array(MAX_COMMAND_LINE_OCTETS);
    let size = 0;
    while (size < bytes.length) {
      const count = Number(this.#libc.symbols.read(descriptor, bytes.subarray(size), BigInt(bytes.length - size)));
      if (count <= 0) break;
      size += count;
    }
    this.close(descriptor);
    return new TextDecoder().decode(bytes.subarray(0, size)).split("\0").slice(0, -1);
  }

  /** Is `pid` a process that this one has started, and that was not waited for? False where that cannot be determined. Linux only. */
  isChild(pid: number): boolean {
    if (this.#libc === null || Deno.build.os !== "linux") return false;
    if (!Number.isSafeInteger(pid) || pid < 1 || pid > 0x7fffffff) return false;
    const info = new Uint8Array(SIGINFO_BYTES);
    return this.#libc.symbols.waitid(P_PID, pid, info, WNOHANG | WEXITED | WNOWAIT) === 0;
  }

  /** Removes a file of the folder behind the descriptor, wherever that lies now. Throws when it is not removed. */
  removeAt(folder: number, name: string): void {
    if (name.includes("/") || this.#libc?.symbols.unlinkat(folder, text(name), 0) !== 0) {
      throw new Error(`${name} cannot be removed`);
    }
  }

  /** Writes one line to syslog, facility mail. False when there is no syslog to be had. */
  syslog(level: LogLevel, line: string): boolean {
    if (this.#libc === null) return false;
    if (!this.#opened) this.#libc.symbols.openlog(this.#ident, LOG_PID, LOG_MAIL);
    this.#opened = true;
    this.#libc.symbols.syslog(LOG_MAIL | PRIORITY[level], text("%s"), text(line));
    return true;
  }
}

function openLibc(): Libc | null {
  const name = LIBC[Deno.build.os];
  if (name === undefined) return null;
  try {
    return Deno.dlopen(name, SYMBOLS);
  } catch {
    return null;
  }
}
