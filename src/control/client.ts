/** smtpctl's side of the control socket: sends one request, yields the answers. */

import type net from "node:net";
import { connectSocket } from "../sockets/mod.ts";
import type { ControlRequest } from "./parse.ts";
import { type ControlAnswer, MAX_ANSWER_BYTES } from "./protocol.ts";
import { type Clock, sleep, systemClock } from "../clock.ts";

/** Why there is no daemon to talk to. */
export class NotRunning extends Error {
  constructor(readonly code: string, path: string) {
    super(`smtpd doesn't seem to be running: nobody answers at ${path}`);
  }
}

/** Tries, and the pause before each, while more connect than the daemon has accepted yet: 10 s. */
const BUSY_TRIES = 500, BUSY_PAUSE_MS = 20;

/** Connects to the control socket at `path`. Rejects with NotRunning when no process listens, with the system's error otherwise. */
export async function connectControl(path: string, clock: Clock = systemClock): Promise<net.Socket> {
  for (let tries = 0;; tries++) {
    try {
      return await connectOnce(path);
    } catch (error) {
      // The line in front of the socket is full: it moves.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || tries >= BUSY_TRIES) throw error;
      await sleep(BUSY_PAUSE_MS, clock);
    }
  }
}

function connectOnce(path: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      const absent = error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "ENOTSOCK";
      reject(absent ? new NotRunning(error.code!, path) : error);
    });
    socket.once("connect", () => resolve(socket));
  });
}

/** The answers to `request`, up to and with the one that has `ok`. Throws when the daemon breaks off. */
export async function* askControl(path: string, request: ControlRequest): AsyncGenerator<ControlAnswer> {
  const socket = await connectControl(path);
  try {
    socket.write(JSON.stringify(request) + "\n");
    for await (const line of lines(socket)) {
      const answer = JSON.parse(line) as ControlAnswer;
      yield answer;
      if ("ok" in answer) return;
    }
    throw new Error("The daemon closed the connection before it answered");
  } finally {
    socket.destroy();
  }
}

async function* lines(socket: net.Socket): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const piece of socket as AsyncIterable<Uint8Array>) {
    pending += decoder.decode(piece, { stream: true });
    let start = 0;
    for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n", start)) {
      yield pending.slice(start, end);
      start = end + 1;
    }
    pending = pending.slice(start);
    if (pending.length > MAX_ANSWER_BYTES) throw new Error("The daemon sent a line that is too long");
  }
}
