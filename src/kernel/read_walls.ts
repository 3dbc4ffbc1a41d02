/** What walls stand, read back from the kernel: of a process out of /proc, and of this machine. Over FFI, as the runtime asks for all permissions there. */

import { cString, EINTR, KernelError, type Libc, libc } from "./libc.ts";
import { landlockAbi } from "./landlock.ts";
import { hasSeccomp } from "./seccomp.ts";

const AT_FDCWD = -100, O_RDONLY = 0, O_CLOEXEC = 0o2000000;
const O_DIRECTORY = Deno.build.arch === "x86_64" ? 0o200000 : 0o40000;
const CHUNK_OCTETS = 8192, MAX_LINK_OCTETS = 256;
const CAP_SYS_ADMIN = 21n, SECCOMP_FILTER = 2, EACCES = 13;

export interface KernelSupport {
  /** 0: no Landlock. */
  readonly landlockAbi: number;
  readonly seccomp: boolean;
  /** Whether namespaces are there and this process may make them, as far as can be known beforehand. */
  readonly namespaces: boolean;
}

/** What the kernel says of a process. Null: this process may not know. */
export interface WallsRead {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  /** These hold for every thread of it. */
  readonly noNewPrivileges: boolean;
  readonly seccomp: boolean;
  /** How many filters each of its threads has at least: a container or a service manager may have put up some before. */
  readonly seccompFilters: number;
  /** Whether it has other namespaces than this process. */
  readonly ownNetwork: boolean | null;
  readonly ownIpc: boolean | null;
  readonly ownMounts: boolean | null;
  /** Whether its /proc shows it alone. */
  readonly ownProc: boolean | null;
}

/** Returns which walls this kernel can give. Needs the permission ffi. */
export function kernelSupport(): KernelSupport {
  const kernel = libc();
  const capable = BigInt(`0x${field(readText(kernel, "/proc/thread-self/status"), "CapEff") || "0"}`) >> CAP_SYS_ADMIN &
    1n;
  return {
    landlockAbi: landlockAbi(kernel),
    seccomp: hasSeccomp(kernel),
    namespaces: capable === 1n && readLink(kernel, "/proc/thread-self/ns/net") !== null,
  };
}

/**
 * Returns what the kernel says of a process; Landlock is nowhere to be read, see landlockStands(). Throws a KernelError when there is no such process.
 * Needs the permission ffi.
 */
export function readWalls(pid: number): WallsRead {
  const kernel = libc();
  const status = readText(kernel, `/proc/${pid}/status`);
  const ids = (name: string) => field(status, name).split(/\s+/).filter((id) => id !== "").map(Number);
  const threads = namesIn(kernel, `/proc/${pid}/task`)
    .map((thread) => textOr(kernel, `/proc/${pid}/task/${thread}/status`))
    .filter((thread) => thread !== "");
  const other = (kind: string) => {
    const its = readLink(kernel, `/proc/${pid}/ns/${kind}`), ours = readLink(kernel, `/proc/thread-self/ns/${kind}`);
    return its === null || ours === null ? null : its !== ours;
  };
  return {
    // The effective ones.
    uid: ids("Uid")[1]!,
    gid: ids("Gid")[1]!,
    groups: ids("Groups"),
    noNewPrivileges: threads.every((thread) => field(thread, "NoNewPrivs") === "1"),
    seccomp: threads.every((thread) => Number(field(thread, "Seccomp")) === SECCOMP_FILTER),
    // Linux before 5.9 counts none.
    seccompFilters: Math.min(
      ...threads.map((thread) =>
        Number(field(thread, "Seccomp")) === SECCOMP_FILTER ? Number(field(thread, "Seccomp_filters") || 1) : 0
      ),
    ),
    ownNetwork: other("net"),
    ownIpc: other("ipc"),
    ownMounts: other("mnt"),
    ownProc: hasOwnProc(kernel, pid),
  };
}

/** The last mount at /proc is the one that it sees. */
function hasOwnProc(kernel: Libc, pid: number): boolean | null {
  const mounts = textOr(kernel, `/proc/${pid}/mountinfo`).split("\n").filter((line) => line.split(" ")[4] === "/proc");
  const last = mounts.at(-1);
  return last === undefined ? null : / - proc \S+ \S*\bsubset=pid\b/.test(last);
}

/** Returns how many threads of a process have a name that begins so; null when there is no such process. Needs the permission ffi. */
export function threadsOf(pid: number, begin: string): number | null {
  const kernel = libc();
  try {
    let found = 0;
    for (const thread of namesIn(kernel, `/proc/${pid}/task`)) {
      if (textOr(kernel, `/proc/${pid}/task/${thread}/comm`).startsWith(begin)) found++;
    }
    return found;
  } catch {
    return null;
  }
}

/** Tells whether Landlock stands around this thread: a folder that everybody may read is refused. */
export function landlockStands(): boolean {
  const kernel = libc();
  const result = kernel.call("openat", AT_FDCWD, cString("/"), O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);
  if (result >= 0) kernel.call("close", result);
  return result === -EACCES;
}

/** Nothing where it cannot be read: a thread may end meanwhile. */
function textOr(kernel: Libc, path: string): string {
  try {
    return readText(kernel, path);
  } catch {
    return "";
  }
}

function field(status: string, name: string): string {
  return new RegExp(`^${name}:[ \t]*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
}

function open(kernel: Libc, path: string, flags: number): number {
  return kernel.must(
    `Cannot read ${path}`,
    "openat",
    AT_FDCWD,
    cString(path),
    flags | O_CLOEXEC,
    0,
  );
}

function readText(kernel: Libc, path: string): string {
  const descriptor = open(kernel, path, O_RDONLY);
  const chunk = new Uint8Array(CHUNK_OCTETS), decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const octets = kernel.call("read", descriptor, chunk, chunk.length);
      if (octets === -EINTR) continue;
      if (octets < 0) throw new KernelError("read(2)", -octets, `Cannot read ${path}`);
      if (octets === 0) return text + decoder.decode();
      text += decoder.decode(chunk.subarray(0, octets), { stream: true });
    }
  } finally {
    kernel.call("close", descriptor);
  }
}

/** Returns where a symbolic link leads; null when there is none. */
export function readLink(kernel: Libc, path: string): string | null {
  const target = new Uint8Array(MAX_LINK_OCTETS);
  const octets = kernel.call("readlinkat", AT_FDCWD, cString(path), target, target.length);
  return octets < 0 ? null : new TextDecoder().decode(target.subarray(0, octets));
}

/** Returns the numbers that are names in a folder of /proc. Throws a KernelError. */
export function namesIn(kernel: Libc, path: string): string[] {
  const descriptor = open(kernel, path, O_RDONLY | O_DIRECTORY);
  const chunk = new Uint8Array(CHUNK_OCTETS), view = new DataView(chunk.buffer), found: string[] = [];
  try {
    for (;;) {
      const octets = kernel.call("getdents64", descriptor, chunk, chunk.length);
      if (octets <= 0) return found;
      // struct linux_dirent64: d_reclen at 16, d_name from 19 on.
      for (let at = 0; at < octets; at += view.getUint16(at + 16, true)) {
        const name = chunk.subarray(at + 19, at + view.getUint16(at + 16, true));
        const text = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
        if (/^\d+$/.test(text)) found.push(text);
      }
    }
  } finally {
    kernel.call("close", descriptor);
  }
}
