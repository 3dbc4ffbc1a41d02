/**
 * Takes the right to write from descriptors that this process has open, whoever opened them: an isolate asks for no permission when it adopts a descriptor by
 * number. Over FFI, Linux only.
 */

import { cString, KernelError, type Libc, libc } from "./libc.ts";
import { namesIn, readLink } from "./read_walls.ts";

const AT_FDCWD = -100, O_CLOEXEC = 0o2000000, O_ACCMODE = 3, MFD_CLOEXEC = 1;
const F_GETFL = 3, F_OFD_SETLK = 37, F_RDLCK = 0;
/** struct flock */
const FLOCK_OCTETS = 32;
/** What SQLite holds of a database in WAL mode that is open and idle, and of its index: nobody may take the log away, or make the index anew. */
const DATABASE_LOCK = { start: 0x4000_0002, length: 510 }, INDEX_LOCK = { start: 128, length: 1 };

/**
 * Opens the files again that this process has open to write beneath a folder, to be read only, and puts these descriptors in the place of the others, under
 * the same numbers. Databases of SQLite in WAL mode stay usable; what is to be written there fails at once. `folder` is an absolute path without symbolic
 * links. Returns the paths. Throws a KernelError. Needs the permission ffi.
 */
export function makeReadOnly(folder: string): string[] {
  const kernel = libc();
  const changed: string[] = [];
  for (const descriptor of namesIn(kernel, "/proc/self/fd").map(Number)) {
    const path = readLink(kernel, `/proc/self/fd/${descriptor}`);
    if (path === null || !path.startsWith(`${folder}/`)) continue;
    const flags = kernel.call("fcntl", descriptor, F_GETFL, 0);
    if (flags < 0 || (flags & O_ACCMODE) === 0) continue;
    replace(kernel, descriptor, path);
    changed.push(path);
  }
  return changed;
}

function replace(kernel: Libc, descriptor: number, path: string): void {
  const doing = `Cannot open ${path} to be read only`;
  // By its number: it may have been removed or replaced by now.
  const own = cString(`/proc/self/fd/${descriptor}`);
  const opened = kernel.must(doing, "openat", AT_FDCWD, own, O_CLOEXEC, 0);
  if (path.endsWith("-shm")) {
    // Stays open, for its lock. Locks to write are taken of memory: where they could not be had, SQLite would wait for them in vain.
    lock(kernel, opened, INDEX_LOCK);
    const memory = kernel.must(doing, "memfd_create", cString("index"), MFD_CLOEXEC);
    return put(kernel, { file: memory, descriptor, doing });
  }
  if (!path.endsWith("-wal")) lock(kernel, opened, DATABASE_LOCK);
  put(kernel, { file: opened, descriptor, doing });
}

function put(kernel: Libc, about: { file: number; descriptor: number; doing: string }): void {
  const { file, descriptor, doing } = about;
  const replaced = kernel.call("dup3", file, descriptor, O_CLOEXEC);
  kernel.call("close", file);
  if (replaced < 0) throw new KernelError("dup3(2)", -replaced, doing);
}

/**
 * Takes a lock to read, before that of the process ends with the descriptor: it is the open file's own. Where somebody has it to write, there is none
 * to be had, and the file is read without.
 */
function lock(kernel: Libc, descriptor: number, { start, length }: { start: number; length: number }): void {
  const flock = new Uint8Array(FLOCK_OCTETS), view = new DataView(flock.buffer);
  view.setInt16(0, F_RDLCK, true);
  view.setBigInt64(8, BigInt(start), true);
  view.setBigInt64(16, BigInt(length), true);
  kernel.call("fcntl", descriptor, F_OFD_SETLK, flock);
}
