/**
 * The listening sockets, and the watch over them: when the process had no descriptor left for a connection the runtime stops accepting on
 * that socket for ever, without an error. Such a one is opened anew. Decides nothing about connections.
 */

import type net from "node:net";
import { normalAddress } from "../../net/mod.ts";
import { listenerDescriptor } from "../../sockets/mod.ts";
import { systemReason } from "../../events/mod.ts";
import { parseSocketName, type SocketName } from "./inherited.ts";
import { fileMark, removeOwn } from "./chosen_sockets.ts";
import { openServer, type Place, placeText } from "./listeners.ts";
import type { Native } from "../machine/native.ts";
import { type Clock, sleep } from "../../clock.ts";

/** How often the sockets are looked at, in milliseconds. Two looks in a row find one that stands still. */
const LOOK_MS = 1000;
/** How long a socket may take to be closed. */
const CLOSING_MS = 10;
/** So often a socket that is to be closed is looked at for connections that wait there. */
const DRAIN_LOOKS = 20;
/** Descriptors among which a listening socket is looked for: they are opened early. */
const SEARCHED = 4096;
/** Connections that may wait in the kernel, which has a limit of its own (OpenSMTPD: 5, which drops bursts), and the least. */
const MAX_BACKLOG_CONNECTIONS = 4096, MIN_BACKLOG_CONNECTIONS = 16;
/** Descriptors of the daemon itself, about. */
const OWN = 128;

export interface ListeningSocketsOptions {
  readonly native: Pick<Native, "closeOnExec" | "duplicate" | "listeningAt" | "someoneWaits">;
  /** As `backlogFor` says. */
  readonly backlog: number;
  warn(text: string): void;
  debug(text: () => string): void;
  readonly clock: Pick<Clock, "after" | "every">;
}

interface ListeningSocket {
  /** Of an inherited socket: the duplicate that is used when it is opened anew. */
  where: Place;
  readonly accept: (socket: net.Socket) => void;
  server: net.Server | null;
  /** Null where it cannot be determined: then it is not watched. */
  descriptor: number | null;
  accepted: number;
  /** What the file of a chosen path is known by, which goes with the socket; null for others. */
  mark: string | null;
  /** At the last look: connections that had been accepted when one waited, -1 when none did. */
  waitedAt: number;
}

/**
 * Connections that may wait at each of `sockets`: those that are accepted in one go, before any of them can be closed, must find descriptors
 * beside those of `sessions`.
 */
export function backlogFor({ descriptors, sessions, sockets }: {
  readonly descriptors: number | null;
  readonly sessions: number;
  readonly sockets: number;
}): number {
  if (descriptors === null) return MAX_BACKLOG_CONNECTIONS;
  const spare = Math.floor((descriptors - sessions - OWN) / (2 * Math.max(1, sockets)));
  return Math.max(MIN_BACKLOG_CONNECTIONS, Math.min(MAX_BACKLOG_CONNECTIONS, spare));
}

export class ListeningSockets {
  readonly #options: ListeningSocketsOptions;
  readonly #all: ListeningSocket[] = [];
  readonly #stopLooking: () => void;
  #looking = false;
  #closed = false;

  constructor(options: ListeningSocketsOptions) {
    this.#options = options;
    this.#stopLooking = options.clock.every(LOOK_MS, () => void this.look());
  }

  /** Listens; `accept` gets every connection, paused. Returns what ends that. Throws Fatal when the address cannot be bound. */
  async open(where: Place, accept: (socket: net.Socket) => void): Promise<() => Promise<void>> {
    const listening: ListeningSocket = {
      ...{ where, accept, server: null, descriptor: null },
      ...{ accepted: 0, mark: null, waitedAt: -1 },
    };
    await this.#listen(listening);
    this.#all.push(listening);
    const name = "address" in where ? `${where.address} port ${where.port}` : placeText(where);
    this.#options.debug(() => `listening on ${name}`);
    return () => this.#end(listening, name);
  }

  /** Closes a socket; connections that wait at it are accepted first, as they were promised. */
  async #end(listening: ListeningSocket, name: string): Promise<void> {
    this.#all.splice(this.#all.indexOf(listening), 1);
    const { server, descriptor } = listening;
    for (let left = DRAIN_LOOKS; left > 0 && descriptor !== null; left--) {
      if (!this.#options.native.someoneWaits(descriptor)) break;
      await sleep(CLOSING_MS, this.#options.clock);
    }
    listening.server = null;
    server?.close();
    this.#unlink(listening);
    await sleep(CLOSING_MS, this.#options.clock);
    this.#options.debug(() => `listening on ${name} no more`);
  }

  async #listen(listening: ListeningSocket): Promise<net.Server> {
    const { native, backlog, warn } = this.#options;
    const { where } = listening;
    // It is gone with its server; its place must not be.
    const spare = "fd" in where ? native.duplicate(where.fd) : null;
    const server = await openServer(where, backlog, (socket) => {
      listening.accepted++;
      listening.accept(socket);
    }, (error) => warn(`warn: a connection to ${placeText(where)} cannot be accepted: ${systemReason(error)}`));
    listening.server = server;
    if ("chosen" in where) listening.mark = fileMark(where.path);
    listening.descriptor = "fd" in where ? where.fd : listenerDescriptor(server) ?? this.#find(where);
    listening.waitedAt = -1;
    // A delivery command must not inherit a listening socket.
    if (listening.descriptor !== null) native.closeOnExec(listening.descriptor);
    if ("fd" in where && spare !== null) listening.where = { ...where, fd: spare };
    return server;
  }

  #find(where: Place): number | null {
    for (let descriptor = 3; descriptor < SEARCHED; descriptor++) {
      const bytes = this.#options.native.listeningAt(descriptor);
      const name = bytes === null ? null : parseSocketName(bytes);
      if (name !== null && isAt(name, where)) return descriptor;
    }
    return null;
  }

  /** Opens those anew at which a connection waits though none was accepted since the last look. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const listening of this.#all) {
        if (this.#closed) return;
        if (listening.server === null || this.#standsStill(listening)) await this.#reopen(listening);
      }
    } finally {
      this.#looking = false;
    }
  }

  #standsStill(listening: ListeningSocket): boolean {
    const { descriptor, accepted, waitedAt } = listening;
    const waits = descriptor !== null && this.#options.native.someoneWaits(descriptor);
    listening.waitedAt = waits ? accepted : -1;
    return waits && waitedAt === accepted;
  }

  async #reopen(listening: ListeningSocket): Promise<void> {
    const { server, where } = listening;
    listening.server = null;
    listening.descriptor = null;
    if (server !== null) {
      // Its connections may live on, and the callback of `close` would wait for them. Should it be open still, the next look tries again.
      server.close();
      await sleep(CLOSING_MS, this.#options.clock);
    }
    try {
      const opened = await this.#listen(listening);
      if (this.#closed || !this.#all.includes(listening)) return void opened.close();
      this.#options.warn(
        `warn: ${placeText(where)} did not accept connections and was opened anew: were there descriptors left?`,
      );
    } catch (error) {
      this.#options.warn(`warn: ${systemReason(error)}: it is tried again`);
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopLooking();
    for (const listening of this.#all) {
      listening.server?.close();
      this.#unlink(listening);
    }
  }

  #unlink({ where, mark }: ListeningSocket): void {
    if ("path" in where) removeOwn(where.path, mark);
  }
}

function isAt(name: SocketName, where: Place): boolean {
  if ("path" in where) return "path" in name && name.path === where.path;
  if ("fd" in where || "path" in name) return false;
  return name.port === where.port && name.address === normalAddress(where.address.replace(/%.*/, ""));
}
