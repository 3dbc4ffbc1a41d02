/** A connected pair of unix stream sockets, as descriptors. */

import { libcPath } from "../../src/delivery/mod.ts";

const AF_UNIX = 1, SOCK_STREAM = 1, SOCK_CLOEXEC = 0o2000000, SOCK_NONBLOCK = 0o4000;

/** Returns the two ends. The caller owns them: transports that adopt them close them. */
export function socketPair(): readonly [number, number] {
  const libc = Deno.dlopen(libcPath(), {
    socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  });
  try {
    const ends = new Int32Array(2);
    const kind = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    if (libc.symbols.socketpair(AF_UNIX, kind, 0, new Uint8Array(ends.buffer)) !== 0) throw new Error("No socketpair");
    return [ends[0]!, ends[1]!];
  } finally {
    libc.close();
  }
}
