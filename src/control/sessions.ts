/** Connections of the control socket: reads one request of each, writes the answers. Handles bytes and limits; the meaning of requests is in requests.ts. */

import { Buffer } from "node:buffer";
import type net from "node:net";
import type { Peer } from "../protocol/mod.ts";
import { type ControlRequest, parseRequest } from "./parse.ts";
import { type ControlAnswer, LINGER_MS, MAX_REQUEST_BYTES, REQUEST_TIMEOUT_MS } from "./protocol.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface SessionOptions {
  /** Uid of the daemon: it and root may ask. */
  readonly uid: number;
  /** Open connections of all together; of one uid half of them. */
  readonly maxConnections: number;
  /** `uid`: of who asks. */
  readonly answer: (request: ControlRequest, uid: number) => AsyncGenerator<ControlAnswer>;
  /** The number of open connections changed. */
  readonly oncount?: (open: number) => void;
  /** That of the machine without it. */
  readonly clock?: Clock;
}

/** All open control connections. */
export class ControlSessions {
  readonly #options: SessionOptions;
  readonly #open = new Map<net.Socket, number>();
  /** Connections that are over for us, while their clients read the last answer. */
  readonly #ending = new Set<net.Socket>();
  readonly #clock: Clock;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Serves one connection. A peer whose uid is unknown, or that has too many connections, is refused. */
  async serve(socket: net.Socket, peer: Peer): Promise<void> {
    socket.on("error", () => {
      // The client went away; `close` follows.
    });
    const refusal = this.#refuse(peer);
    if (refusal !== null) {
      socket.write(JSON.stringify(refusal) + "\n");
      return await this.#finish(socket);
    }
    this.#open.set(socket, peer.uid!);
    this.#options.oncount?.(this.#open.size);
    try {
      await this.#converse(socket, peer.uid!);
      await this.#finish(socket);
    } finally {
      this.#open.delete(socket);
      this.#options.oncount?.(this.#open.size);
    }
  }

  /** Closes all of them. */
  close(): void {
    for (const socket of [...this.#open.keys(), ...this.#ending]) socket.destroy();
  }

  /** Ends the connection. Resolves when it is closed: soon, whatever the client does. */
  async #finish(socket: net.Socket): Promise<void> {
    if (socket.destroyed) return;
    // Many who stay are not waited for.
    if (this.#ending.size >= this.#options.maxConnections) return void socket.end(() => socket.destroy());
    this.#ending.add(socket);
    socket.resume();
    const cancelLimit = this.#clock.after(LINGER_MS, () => socket.destroy());
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
      socket.end();
    });
    cancelLimit();
    this.#ending.delete(socket);
  }

  #refuse({ uid }: Peer): ControlAnswer | null {
    if (uid === null || (uid !== 0 && uid !== this.#options.uid)) {
      return { ok: false, error: "need root privileges", denied: true };
    }
    const own = [...this.#open.values()].filter((one) => one === uid).length;
    const { maxConnections } = this.#options;
    if (own < Math.ceil(maxConnections / 2) && this.#open.size < maxConnections) return null;
    return { ok: false, error: "too many connections" };
  }

  async #converse(socket: net.Socket, uid: number): Promise<void> {
    const line = await readLine(socket, this.#clock);
    if (line === null) return void socket.destroy();
    const request = parseRequest(line);
    if (request === null) return void socket.write(JSON.stringify({ ok: false, error: "invalid request" }) + "\n");
    const answers = this.#options.answer(request, uid);
    try {
      for await (const answer of answers) {
        if (socket.destroyed) return;
        if (!socket.write(JSON.stringify(answer) + "\n")) await drained(socket);
      }
    } catch (error) {
      if (!socket.destroyed) socket.write(JSON.stringify({ ok: false, error: (error as Error).message }) + "\n");
    }
  }
}

/** The first line that comes, or null when none comes in time, it is too long, or the client goes away. */
function readLine(socket: net.Socket, clock: Clock): Promise<string | null> {
  return new Promise((resolve) => {
    const pieces: Uint8Array[] = [];
    let size = 0;
    const finish = (line: string | null) => {
      cancelLimit();
      socket.removeListener("data", receive).removeListener("close", gone);
      resolve(line);
    };
    const gone = () => finish(null);
    const receive = (piece: Uint8Array) => {
      const end = piece.indexOf(10);
      size += end < 0 ? piece.length : end;
      if (size >= MAX_REQUEST_BYTES) return finish(null);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      if (end >= 0) finish(Buffer.concat(pieces).toString("utf8"));
    };
    const cancelLimit = clock.after(REQUEST_TIMEOUT_MS, gone);
    socket.on("data", receive).on("close", gone);
    socket.resume();
  });
}

function drained(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      socket.removeListener("drain", go).removeListener("close", go);
      resolve();
    };
    if (socket.destroyed) return resolve();
    socket.on("drain", go).on("close", go);
  });
}
