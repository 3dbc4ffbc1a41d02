/** Pipes between two processes: what a door is made of. */

import { cString, libc } from "./libc.ts";

const O_CLOEXEC = 0o2000000, F_SETPIPE_SZ = 1031;
const AT_EMPTY_PATH = 0x1000, STATX_INO = 0x100, STATX_OCTETS = 256, STATX_INO_AT = 32;
/** The chunks of a message that may be on their way, twice, and as much as the kernel gives to everybody: what does not fit is copied once more. */
const PIPE_OCTETS = 1024 * 1024;

/** What one side has of two pipes: it reads from the one and writes into the other. */
export interface PipeEnds {
  readonly read: number;
  readonly write: number;
}

/**
 * Makes two pipes, one for each direction, kept from the programs that this process starts. Returns what each side gets. Throws a KernelError.
 * Not a pair of unix sockets: there the writer's thread wakes up once more each time that the other side has read.
 */
export function pipePair(): readonly [PipeEnds, PipeEnds] {
  const [read, write] = pipe();
  try {
    const [otherRead, otherWrite] = pipe();
    return [{ read, write: otherWrite }, { read: otherRead, write }];
  } catch (error) {
    for (const end of [read, write]) libc().call("close", end);
    throw error;
  }
}

function pipe(): readonly [number, number] {
  const ends = new Uint8Array(new ArrayBuffer(8)), view = new DataView(ends.buffer);
  libc().must("Cannot make a pipe", "pipe2", ends, O_CLOEXEC);
  const [read, write] = [view.getInt32(0, true), view.getInt32(4, true)];
  // Lets a write of a whole chunk of a message go through at once. The kernel may give less, and that works too.
  libc().call("fcntl", write, F_SETPIPE_SZ, PIPE_OCTETS);
  return [read, write];
}

/** Returns a mark of the pipe by which it is known when its descriptor may be another's; null when the descriptor is not open. */
export function pipeMark(descriptor: number): bigint | null {
  const found = new Uint8Array(new ArrayBuffer(STATX_OCTETS));
  if (libc().call("statx", descriptor, cString(""), AT_EMPTY_PATH, STATX_INO, found) !== 0) return null;
  // The marks of sockets are above 0.
  return -new DataView(found.buffer).getBigUint64(STATX_INO_AT, true);
}
