/**
 * What is asked of sockets by their number, whoever in this process has them: which one it is, and its end. And one that listens at all addresses of IPv6
 * alone, which the runtime does not make.
 */

import { closeDescriptor } from "./descriptor_socket.ts";
import { libc } from "./libc.ts";

const SOL_SOCKET = 1, SO_COOKIE = 57, SHUT_RDWR = 2;
const AF_INET6 = 10, SOCK_STREAM_CLOEXEC = 1 | 0o2000000, IPPROTO_IPV6 = 41, IPV6_V6ONLY = 26, SO_REUSEADDR = 2;
/** Octets of a struct sockaddr_in6. */
const SOCKADDR_IN6_OCTETS = 28;

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

/**
 * Returns the descriptor of a socket that listens at `port` of every IPv6 address, and at no IPv4 one (RFC 3493 §5.3): beside it another may listen at
 * 0.0.0.0. Throws a KernelError.
 */
export function listenOnIpv6({ port, backlog }: { readonly port: number; readonly backlog: number }): number {
  const doing = `Cannot listen on [::]:${port}`;
  const descriptor = libc().must(doing, "socket", AF_INET6, SOCK_STREAM_CLOEXEC, 0);
  try {
    const one = new Uint8Array(Int32Array.of(1).buffer);
    const address = new Uint8Array(new ArrayBuffer(SOCKADDR_IN6_OCTETS)), view = new DataView(address.buffer);
    view.setUint16(0, AF_INET6, true);
    view.setUint16(2, port);
    libc().must(doing, "setsockopt", descriptor, IPPROTO_IPV6, IPV6_V6ONLY, one, one.length);
    libc().must(doing, "setsockopt", descriptor, SOL_SOCKET, SO_REUSEADDR, one, one.length);
    libc().must(doing, "bind", descriptor, address, address.length);
    libc().must(doing, "listen", descriptor, backlog);
    return descriptor;
  } catch (error) {
    closeDescriptor(descriptor);
    throw error;
  }
}
