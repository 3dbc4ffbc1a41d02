/** What an attacker who owns a process of the daemon tries in it, in raw system calls. */

import { cString, libc } from "../../../src/kernel/libc.ts";
import { readLink } from "../../../src/kernel/read_walls.ts";
import type { Surroundings } from "../../kernel/attempts.ts";

/** Each has a number of its own, that it is carried out once. */
export type Order = { readonly number: number } & OrderBody;
export type OrderBody =
  | ({ readonly do: "attempt" } & AttemptOrder)
  /** Writes into every descriptor but those of files beneath `own`, the link last. */
  | { readonly do: "scribble"; readonly own: string | null }
  | { readonly do: "loop" }
  /** An isolate of it says this, see hostile.ts. */
  | {
    readonly do: "say";
    readonly who: string;
    readonly door: string;
    readonly payload: string;
    readonly message: string;
    readonly envelope: string;
  }
  /** The host itself is the attacker's from its start on, and says this to the parent. */
  | { readonly do: "be hostile"; readonly payload: string }
  /** The host and the isolates that have a file here for it say which of these libraries they may load. */
  | { readonly do: "load"; readonly libraries: readonly string[] }
  | { readonly do: "nothing" };

export interface AttemptOrder {
  readonly surroundings: Surroundings;
  /** Files that are not this process's to read, and those that it may not write. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Processes of the daemon, this one not. */
  readonly others: readonly number[];
  /** A unix socket that listens. */
  readonly unix: string;
}

/** For each library whether the runtime lets it be loaded here. */
export function mayLoad(libraries: readonly string[]): string {
  return libraries.map((path) => {
    try {
      Deno.dlopen(path, {}).close();
      return "loaded";
    } catch (error) {
      return (error as Error).name;
    }
  }).join(" ");
}

const AT_FDCWD = -100, O_WRONLY = 1, O_RDWR = 2, O_NONBLOCK = 0o4000;
const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, STREAM = 1, DGRAM = 2, RAW = 3, IPPROTO_ICMP = 1;
const PTRACE_ATTACH = 16, SIGKILL = 9;
/** Of calls that the product does not make, on x86_64 and aarch64. */
const NUMBERS = { write: [1, 64], ftruncate: [77, 46], fchmod: [91, 52], sendto: [44, 206], clone: [56, 220] } as const;

/** A raw call by its name here. Returns its result, or the negative errno. */
function call(name: keyof typeof NUMBERS, ...args: readonly (number | Uint8Array<ArrayBuffer>)[]): number {
  const kernel = libc();
  const words = Array.from({ length: 6 }, (_, at) => {
    const arg = args[at] ?? 0;
    return typeof arg === "number" ? BigInt(arg) : kernel.addressOf(arg);
  });
  const [a, b, c, d, e, f] = words as [bigint, bigint, bigint, bigint, bigint, bigint];
  const number = BigInt(NUMBERS[name][Deno.build.arch === "x86_64" ? 0 : 1]);
  const result = kernel.symbols.syscall(number, a, b, c, d, e, f);
  return result < 0n ? -kernel.errno : Number(result);
}

const failed = (result: number): number => result < 0 ? -result : 0;

/** What attempts.ts does not try. Returns the errno of each attempt; 0: it went through. */
export function moreAttempts({ surroundings, reads, writes, others, unix }: AttemptOrder): Record<string, number> {
  const kernel = libc();
  const made: Record<string, number> = {};
  const open = (path: string, flags: number) => {
    const result = kernel.call("openat", AT_FDCWD, cString(path), flags | O_NONBLOCK, 0);
    if (result >= 0) kernel.call("close", result);
    return failed(result);
  };
  for (const path of reads) made[`read ${path}`] = open(path, 0);
  for (const path of writes) made[`write ${path}`] = open(path, O_WRONLY);
  for (const [at, pid] of others.entries()) {
    made[`kill ${at}`] = failed(kernel.call("kill", pid, SIGKILL));
    made[`kill a thread of ${at}`] = failed(kernel.call("tgkill", pid, pid, SIGKILL));
    made[`trace ${at}`] = failed(kernel.call("ptrace", PTRACE_ATTACH, pid, 0, 0));
    made[`memory of ${at}`] = open(`/proc/${pid}/mem`, O_RDWR);
    made[`descriptors of ${at}`] = open(`/proc/${pid}/fd/0`, 0);
  }
  // Nothing is sent: whether it may is answered all the same.
  made["signal all"] = failed(kernel.call("kill", -1, 0));
  const withSocket = (name: string, kind: readonly number[], use: (socket: number) => number) => {
    const socket = kernel.call("socket", ...kind);
    made[name] = socket < 0 ? -socket : failed(use(socket));
    if (socket >= 0) kernel.call("close", socket);
  };
  const path = new Uint8Array([AF_UNIX, 0, ...new TextEncoder().encode(unix), 0]);
  withSocket(
    "connect to a unix socket",
    [AF_UNIX, STREAM],
    (socket) => kernel.call("connect", socket, path, path.length),
  );
  withSocket(
    "send a datagram",
    [AF_INET, DGRAM],
    (socket) => call("sendto", socket, new Uint8Array(1), 1, 0, inet(surroundings.tcpPort), 16),
  );
  withSocket(
    "bind a datagram port below 1024",
    [AF_INET, DGRAM],
    (socket) => kernel.call("bind", socket, inet(513), 16),
  );
  withSocket("bind a port below 1024", [AF_INET, STREAM], (socket) => kernel.call("bind", socket, inet(25), 16));
  withSocket("listen", [AF_INET, STREAM], (socket) => kernel.call("listen", socket, 1));
  withSocket("listen with IPv6", [AF_INET6, STREAM], (socket) => kernel.call("listen", socket, 1));
  withSocket("a raw socket", [AF_INET, RAW, IPPROTO_ICMP], () => 0);
  // SIGCHLD alone: fork(2).
  const child = call("clone", 17);
  made["make a process"] = failed(child);
  if (child === 0) { for (;;); }
  return made;
}

function inet(port: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/** Octets that are none of anybody's protocol. */
const NONSENSE = new Uint8Array(4096).fill(0xff);
const LINK = 3, MAX_DESCRIPTOR = 1023, F_SETFL = 4;

/** Writes into, cuts and opens to all whatever is open here, files before sockets; says first what came of the files. */
export function scribble({ own }: { readonly own: string | null }): void {
  const kernel = libc();
  const files: Record<string, readonly number[]> = {}, sockets: number[] = [];
  for (let descriptor = 0; descriptor <= MAX_DESCRIPTOR; descriptor++) {
    const link = linkOf(descriptor);
    // The log is everybody's.
    if (descriptor === 1 || descriptor === 2 || link === linkOf(2) || link === null) continue;
    if (link.startsWith("socket:")) sockets.push(descriptor);
    if (!link.startsWith("/") || (own !== null && link.startsWith(own)) || link === "/dev/null") continue;
    const results = [
      call("write", descriptor, NONSENSE, 1),
      call("ftruncate", descriptor, 0),
      call("fchmod", descriptor, 0o777),
    ];
    files[`${descriptor} ${link}`] = results.map(failed);
  }
  console.error(`scribbled: ${JSON.stringify(files)}`);
  for (const descriptor of sockets.sort((a, b) => Number(a === LINK) - Number(b === LINK))) {
    kernel.call("fcntl", descriptor, F_SETFL, O_NONBLOCK);
    call("write", descriptor, NONSENSE, NONSENSE.length);
  }
}

function linkOf(descriptor: number): string | null {
  return readLink(libc(), `/proc/self/fd/${descriptor}`);
}

/** Never returns. */
export function loop(): never {
  for (;;);
}
