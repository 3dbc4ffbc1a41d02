/**
 * What a process behind the walls tries, with all permissions of the runtime: started by walls_test.ts, which says what is there, and reports each
 * attempt's errno (0: it went through). First behind Landlock and the namespaces alone, then behind seccomp too.
 */

import net from "node:net";
import { networkInterfaces } from "node:os";
import { DatabaseSync } from "node:sqlite";
import {
  closeDescriptor,
  DescriptorSocket,
  installSeccomp,
  landlockStands,
  type SeccompRules,
} from "../../src/kernel/mod.ts";
import { cString, libc } from "../../src/kernel/libc.ts";

export interface Surroundings {
  readonly rules: SeccompRules;
  readonly readable: string;
  readonly writable: string;
  readonly outside: string;
  readonly sibling: number;
  readonly parent: number;
  readonly tcpPort: number;
  readonly abstract: string;
}

export interface Attempted {
  /** What its descriptors stand for at the start. */
  readonly links: readonly string[];
  readonly landlock: boolean;
  readonly before: Readonly<Record<string, number>>;
  readonly after: Readonly<Record<string, number>>;
  /** What Deno still does. */
  readonly works: Readonly<Record<string, string>>;
}

const AT_FDCWD = -100, O_WRONLY = 1, O_CREAT = 0o100;
const AF_UNIX = 1, AF_INET = 2, AF_NETLINK = 16, STREAM = 1, DGRAM = 2, RAW = 3;
const PTRACE_SEIZE = 0x4206, SIGTERM = 15, PIDFD_OPEN = 434n, NONE = -1;
const kernel = libc();
const failed = (result: number): number => result < 0 ? -result : 0;
/** As failed(), and what was opened is closed. */
const opened = (result: number): number => {
  if (result >= 0) closeDescriptor(result);
  return failed(result);
};
const open = (path: string, flags = 0) => opened(kernel.call("openat", AT_FDCWD, cString(path), flags, 0o644));

const inet = (port: number) =>
  new Uint8Array([AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
const unix = (name: string) => new Uint8Array([AF_UNIX, 0, ...new TextEncoder().encode(name)]);

/** Makes a socket and does something with it; the errno of either. */
function withSocket(family: number, type: number, use: (socket: number) => number): number {
  const socket = kernel.call("socket", family, type, 0);
  if (socket < 0) return -socket;
  const result = failed(use(socket));
  closeDescriptor(socket);
  return result;
}

/** struct iovec of one octet here, at an address that is no other process's business. */
function octet(): Uint8Array<ArrayBuffer> {
  const iov = kernel.pin(16);
  iov.view.setBigUint64(0, iov.address, true);
  iov.view.setBigUint64(8, 1n, true);
  return iov.bytes;
}

/** What is refused, or not, both times. Returns the errno of each attempt. */
export function attempts({ readable, writable, outside, sibling, parent, tcpPort, abstract }: Surroundings) {
  const exec = (path: string) => failed(kernel.call("execve", cString(path), new Uint8Array(8), new Uint8Array(8)));
  const pidfd = Number(kernel.symbols.syscall(PIDFD_OPEN, BigInt(sibling), 0n, 0n, 0n, 0n, 0n));
  const report = {
    "read what is granted": open(readable),
    "write what is granted to read": open(readable, O_WRONLY),
    "make a file where granted": open(`${writable}/new`, O_WRONLY | O_CREAT),
    "execute what is granted to write": exec(`${writable}/program`),
    "read outside": open(outside),
    "write outside": open(outside, O_WRONLY),
    "make a file outside": open(`${outside}.new`, O_WRONLY | O_CREAT),
    "list the root": open("/"),
    "execute a shell": exec("/bin/sh"),
    "connect": withSocket(AF_INET, STREAM, (socket) => kernel.call("connect", socket, inet(tcpPort), 16)),
    "bind a port": withSocket(AF_INET, STREAM, (socket) => kernel.call("bind", socket, inet(2525), 16)),
    "bind no port": withSocket(AF_INET, STREAM, (socket) => kernel.call("bind", socket, inet(0), 16)),
    "connect for datagrams": withSocket(AF_INET, DGRAM, (socket) => kernel.call("connect", socket, inet(tcpPort), 16)),
    "abstract socket": withSocket(AF_UNIX, STREAM, (socket) => {
      const name = unix(abstract);
      return kernel.call("connect", socket, name, name.length);
    }),
    "trace a sibling": failed(kernel.call("ptrace", PTRACE_SEIZE, sibling, 0, 0)),
    "read a sibling's memory": failed(kernel.call("process_vm_readv", sibling, octet(), 1, octet(), 1, 0)),

    "open a sibling's memory": open(`/proc/${sibling}/mem`),
    "open its own status": open("/proc/self/status"),
    "take a sibling's descriptor": opened(kernel.call("pidfd_getfd", pidfd, 1, 0)),
    "signal a sibling": failed(kernel.call("kill", sibling, SIGTERM)),
    "signal the parent": failed(kernel.call("kill", parent, SIGTERM)),
    "become root": failed(kernel.call("setresuid", 0, 0, 0)),
    "mount": failed(kernel.call("mount", cString("none"), cString(writable), cString("tmpfs"), 0, 0)),
    // What nothing but seccomp refuses.
    "limit a sibling": failed(kernel.call("prlimit64", sibling, 7, 0, new Uint8Array(16))),
    "ask for keys": failed(kernel.call("keyctl", 0, -3, 0)),
    "unshare nothing": failed(kernel.call("unshare", 0)),
    "a personality": failed(kernel.call("personality", 0xffff_ffff)),
    "shared memory": failed(kernel.call("shmget", 0, 4096, 0o1600)),
    "a ring of system calls": failed(kernel.call("io_uring_setup", 0, 0)),
    "the user that it is": failed(kernel.call("setresuid", NONE, NONE, NONE)),
    "a priority": failed(kernel.call("setpriority", 0, 0, 19)),
    "listen": failed(kernel.call("listen", NONE, 1)),
    "accept": failed(kernel.call("accept4", NONE, 0, 0, 0)),
    "a unix socket": opened(kernel.call("socket", AF_UNIX, STREAM, 0)),
    "a pair of datagram sockets": failed(kernel.call("socketpair", AF_UNIX, DGRAM, 0, new Uint8Array(8))),
    "netlink": opened(kernel.call("socket", AF_NETLINK, RAW, 0)),
    "clone3": failed(kernel.call("clone3", 0, 0)),
    "signal itself": failed(kernel.call("kill", Deno.pid, 0)),
  };
  if (pidfd >= 0) closeDescriptor(pidfd);
  return report;
}

/** In a worker with no permission at all. */
const DIGEST = `postMessage(new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(3)))[0].toString(16))`;

const errorOf = (error: unknown) => error instanceof Error ? error.name : String(error);
async function outcome(work: () => unknown): Promise<string> {
  try {
    return String(await work());
  } catch (error) {
    return errorOf(error);
  }
}

async function stillWorks(where: Surroundings, handed: DescriptorSocket): Promise<Record<string, string>> {
  const worker = () => {
    const entry = URL.createObjectURL(new Blob([DIGEST], { type: "text/javascript" }));
    const started = new Worker(entry, { type: "module", deno: { permissions: "none" } } as WorkerOptions);
    const { promise, resolve } = Promise.withResolvers<string>();
    started.onmessage = ({ data }) => (resolve(data), started.terminate());
    started.onerror = (event) => (event.preventDefault(), resolve(event.message));
    return promise;
  };
  const database = () => {
    using opened = new DatabaseSync(`${where.writable}/${Deno.pid}.db`);
    opened.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (42)");
    return opened.prepare("SELECT a FROM t").get()!.a;
  };
  const adopted = async () => {
    const got = await handed.receive();
    const socket = new net.Socket({ fd: got!.descriptors[0]!, readable: true, writable: true });
    socket.write("ping\n");
    return await new Promise<string>((resolve) =>
      socket.setEncoding("utf8").once("data", (text: string) => resolve(text.trim()))
    );
  };
  return {
    worker: await outcome(worker),
    timer: await outcome(() => new Promise((resolve) => setTimeout(resolve, 1, "rang"))),
    database: await outcome(database),
    "file beside the thread": await outcome(async () => (await Deno.readTextFile(where.readable)).length > 0),
    "adopted connection": await outcome(adopted),
    program: await outcome(() => new Deno.Command("/bin/true").output()),
    listen: await outcome(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close()),
    connect: await outcome(async () => (await Deno.connect({ hostname: "127.0.0.1", port: where.tcpPort })).close()),
    interfaces: await outcome(() => Object.keys(networkInterfaces()).includes("lo")),
    memory: await outcome(() => Deno.memoryUsage().rss > 0),
    ffi: await outcome(() => Deno.dlopen("libc.so.6", {})),
  };
}

async function main(): Promise<void> {
  const links = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // the one that listed them
    }
  });
  const report = new net.Socket({ fd: 3, readable: true, writable: true });
  const handed = new DescriptorSocket(4);
  const ended = Promise.withResolvers<void>();
  report.on("error", () => {}).on("close", () => ended.resolve());
  const line = await new Promise<string>((resolve) => report.setEncoding("utf8").once("data", resolve));
  // Read on, that the end is seen.
  report.resume();
  const where = JSON.parse(line) as Surroundings;
  const landlock = landlockStands();
  const before = attempts(where);
  installSeccomp(where.rules);
  Deno.permissions.revokeSync({ name: "ffi" });
  const after = attempts(where);
  const works = await stillWorks(where, handed);
  report.write(JSON.stringify({ links, landlock, before, after, works } satisfies Attempted) + "\n");
  // The other side ends it.
  await ended.promise;
  Deno.exit(7);
}

if (import.meta.main) await main();
