/**
 * How an accepted connection crosses from main to an isolate: as a descriptor. The only file that touches node:net's private handle; its
 * test fails loudly when a new Deno changes it.
 */

import type net from "node:net";
import { builtin } from "../builtin.ts";
import { withErrorListener } from "./sockets.ts";

/** The part of node's socket that has no public name. */
interface PrivateHandle {
  readonly _handle: { readonly fd?: number; fdForIpc?(): number } | null;
}

/**
 * Takes the descriptor out of a socket that was accepted with `pauseOnConnect` and gives this thread's own handle back. The caller owns the
 * descriptor and must post it to the isolate that will adopt it. Throws when the connection is gone already.
 */
export function detachDescriptor(socket: net.Socket): number {
  const handle = (socket as unknown as PrivateHandle)._handle;
  const descriptor = handle?.fdForIpc?.();
  socket.destroy();
  if (descriptor === undefined || descriptor < 0) throw new Error("The accepted socket has no descriptor to hand over");
  return descriptor;
}

/** The descriptor of an accepted connection over a unix socket, which stays the socket's. Null when it is gone, or no such connection. */
export function unixDescriptor(socket: net.Socket): number | null {
  const descriptor = (socket as unknown as PrivateHandle)._handle?.fd;
  return descriptor === undefined || descriptor < 0 ? null : descriptor;
}

/** The descriptor of a listening socket, which stays the server's. Null when it has none. */
export function listenerDescriptor(server: net.Server): number | null {
  const descriptor = (server as unknown as PrivateHandle)._handle?.fd;
  return descriptor === undefined || descriptor < 0 ? null : descriptor;
}

/**
 * Reads into one buffer again and again, or into what a function gives for the next read: no more is read than fits. `callback` gets how
 * much was read, and says whether to go on. It must take the bytes at once.
 */
export interface ReadInto {
  readonly buffer: Uint8Array | (() => Uint8Array);
  callback(count: number, buffer: Uint8Array): boolean;
}

/** Makes a socket, only to write, of the descriptor of a pipe that main handed over. Needs no permission. The socket owns the descriptor from now on. */
export function adoptWriter(descriptor: number): net.Socket {
  const net = builtin("node:net");
  return withErrorListener(new net.Socket({ fd: descriptor, readable: false, writable: true }));
}

/** As `adoptSocket` with `onread`, of the descriptor of a pipe, only to read. */
export function adoptReader(descriptor: number, onread: ReadInto): net.Socket {
  const net = builtin("node:net");
  return withErrorListener(new net.Socket({ fd: descriptor, readable: true, writable: false, onread }));
}

/**
 * Makes a socket of a descriptor that main handed over. Needs no permission. The socket owns the descriptor from now on. With `onread`
 * there are no `data` events, and no new buffer a read: several sockets may share one buffer.
 */
export function adoptSocket(descriptor: number, onread?: ReadInto): net.Socket {
  const options: net.SocketConstructorOpts = { fd: descriptor, readable: true, writable: true };
  const net = builtin("node:net");
  return withErrorListener(new net.Socket(onread === undefined ? options : { ...options, onread }));
}
