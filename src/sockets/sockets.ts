/**
 * The sockets of all isolates, of main and of the tools are made here or go through `withErrorListener`: an `error` event that nobody listens
 * for ends the whole isolate, with every other connection in it. Independent of the protocols over them.
 */

import type { EventEmitter } from "node:events";
import type net from "node:net";
import { builtin } from "../builtin.ts";

/** The first error of each socket. */
const errors = new WeakMap<EventEmitter, Error>();

/**
 * Gives a socket or server, as soon as it is made, a listener of the `error` event that stays for all its life, whatever other listeners come
 * and go. Returns the socket. The first error is kept for `firstError`.
 */
export function withErrorListener<T extends EventEmitter>(socket: T): T {
  socket.on("error", (error: Error) => {
    if (!errors.has(socket)) errors.set(socket, error);
  });
  return socket;
}

/** The first error of a socket of `withErrorListener`, null when there was none: for listeners that were added after it. */
export function firstError(socket: EventEmitter): Error | null {
  return errors.get(socket) ?? null;
}

/** Begins to connect to an address or to the path of a unix socket; `connect` or `error` follows. */
export function connectSocket(options: net.NetConnectOpts): net.Socket {
  return withErrorListener(builtin("node:net").connect(options));
}

/** A server that does not listen yet. `accept` gets every connection, paused. */
export function createServer(accept: (socket: net.Socket) => void): net.Server {
  return withErrorListener(
    builtin("node:net").createServer({ pauseOnConnect: true }, (socket) => accept(withErrorListener(socket))),
  );
}
