/** smtpctl's side of the control socket: sends one request, yields the answers. */

import { closeConnection, connectUnix, writeAll } from "../sockets/mod.ts";
import type { ControlRequest } from "./parse.ts";
import { type ControlAnswer, MAX_ANSWER_BYTES } from "./protocol.ts";
import { type Clock, systemClock } from "../clock.ts";

/** Why there is no daemon to talk to. */
export class NotRunning extends Error {
  constructor(readonly code: string, path: string) {
    super(`smtpd doesn't seem to be running: nobody answers at ${path}`);
  }
}

/** Octets that are read at a time. */
const PIECE_OCTETS = 65_536;

/** Connects to the control socket at `path`. Rejects with NotRunning when no process listens, with the system's error otherwise. */
export async function connectControl(path: string, clock: Clock = systemClock): Promise<Deno.UnixConn> {
  try {
    return await connectUnix(path, clock);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK") throw new NotRunning(code, path);
    throw error;
  }
}

/** The answers to `request`, up to and with the one that has `ok`. Throws when the daemon breaks off. */
export async function* askControl(path: string, request: ControlRequest): AsyncGenerator<ControlAnswer> {
  const connection = await connectControl(path);
  try {
    await writeAll(connection, new TextEncoder().encode(JSON.stringify(request) + "\n"));
    for await (const line of lines(connection)) {
      const answer = JSON.parse(line) as ControlAnswer;
      yield answer;
      if ("ok" in answer) return;
    }
    throw new Error("The daemon closed the connection before it answered");
  } finally {
    closeConnection(connection);
  }
}

async function* lines(connection: Deno.Conn): AsyncGenerator<string> {
  const decoder = new TextDecoder(), piece = new Uint8Array(PIECE_OCTETS);
  let pending = "";
  for (let size: number | null; (size = await connection.read(piece)) !== null;) {
    pending += decoder.decode(piece.subarray(0, size), { stream: true });
    let start = 0;
    for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n", start)) {
      yield pending.slice(start, end);
      start = end + 1;
    }
    pending = pending.slice(start);
    if (pending.length > MAX_ANSWER_BYTES) throw new Error("The daemon sent a line that is too long");
  }
}
