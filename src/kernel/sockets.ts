/** What is asked of sockets by their number, whoever in this process has them: which one it is, and its end. */

import { libc } from "./libc.ts";

const SOL_SOCKET = 1, SO_COOKIE = 57, SHUT_RDWR = 2;

/** Returns a mark of the socket by which it is known when its descriptor may be another's; null when the descriptor is no socket. */
export function socketCookie(descriptor: number): bigint | null {
  const value = new BigUint64Array(new ArrayBuffer(8)), length = new Uint32Array([value.byteLength]);
  const octets = new Uint8Array(value.buffer), size = new Uint8Array(length.buffer);
  return libc().call("getsockopt", descriptor, SOL_SOCKET, SO_COOKIE, octets, size) === 0 ? value[0]! : null;
}

/** Ends a connection, both ways, and leaves the descriptor open. */
export function shutDown(descriptor: number): void {
  libc().call("shutdown", descriptor, SHUT_RDWR);
}
