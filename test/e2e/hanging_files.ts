/** Files that do not answer, for tests that run as root: a file system whose server is dead, and a file on which somebody has a lease. */

import { libcPath } from "../../src/delivery/mod.ts";

const libc = Deno.build.os === "linux"
  ? Deno.dlopen(libcPath(), {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" },
    umount2: { parameters: ["buffer", "i32"], result: "i32" },
    fcntl: { parameters: ["i32", "i32", "i64"], result: "i32" },
    signal: { parameters: ["i32", "u64"], result: "u64" },
  }).symbols
  : null;

const O_RDWR = 2, MS_NOSUID_NODEV = 6n, MNT_FORCE_DETACH = 3;
const F_SETLEASE = 1024, F_WRLCK = 1n, F_UNLCK = 2n, SIGIO = 29, SIG_IGN = 1n;
/** fuse_out_header and fuse_init_out of version 7.31. */
const INIT_REPLY = 16 + 64;

const text = (value: string) => new TextEncoder().encode(`${value}\0`);

/**
 * Mounts a file system on `folder` that greets the kernel and never answers again: whoever looks at it waits. Answers what takes it away,
 * or null where that cannot be had.
 */
export function mountDead(folder: string): (() => void) | null {
  const fuse = libc?.open(text("/dev/fuse"), O_RDWR) ?? -1;
  if (libc === null || fuse < 0) return null;
  const options = `fd=${fuse},rootmode=40755,user_id=0,group_id=0,allow_other`;
  if (libc.mount(text("dead"), text(folder), text("fuse"), MS_NOSUID_NODEV, text(options)) !== 0) {
    libc.close(fuse);
    return null;
  }
  const request = new Uint8Array(1 << 16);
  libc.read(fuse, request, BigInt(request.length));
  const reply = new DataView(new ArrayBuffer(INIT_REPLY));
  reply.setUint32(0, INIT_REPLY, true);
  reply.setBigUint64(8, new DataView(request.buffer).getBigUint64(8, true), true);
  for (const [at, value] of [[16, 7], [20, 31], [24, 65_536], [36, 65_536], [40, 1]] as const) {
    reply.setUint32(at, value, true);
  }
  libc.write(fuse, new Uint8Array(reply.buffer), BigInt(INIT_REPLY));
  return () => {
    libc.umount2(text(folder), MNT_FORCE_DETACH);
    // With it the connection is gone, and all who wait get an error.
    libc.close(fuse);
  };
}

/** Takes a lease on a file that nobody has open: whoever opens it waits until it is given back, or 45 seconds. Answers what gives it back. */
export function lease(file: string): () => void {
  if (libc === null) throw new Error("Leases are Linux' own");
  // The kernel asks for the lease by a signal whose default is the end.
  libc.signal(SIGIO, SIG_IGN);
  const descriptor = libc.open(text(file), O_RDWR);
  if (libc.fcntl(descriptor, F_SETLEASE, F_WRLCK) !== 0) throw new Error(`No lease on ${file}`);
  return () => {
    libc.fcntl(descriptor, F_SETLEASE, F_UNLCK);
    libc.close(descriptor);
  };
}
