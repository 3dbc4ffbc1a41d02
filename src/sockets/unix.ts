/** Connections of the tools to the daemon's unix sockets, by the runtime itself: node:net alone would take as long as all else that sendmail does. */

import { type Clock, sleep, systemClock } from "../clock.ts";

/** Tries, and the pause before each, while more connect than the daemon has accepted yet: 10 s. */
const BUSY_TRIES = 500, BUSY_PAUSE_MS = 20;

/** Connects to the unix socket at `path`; a line in front of it that is full (EAGAIN) moves on, and is waited for. Rejects with the system's error. */
export async function connectUnix(path: string, clock: Clock = systemClock): Promise<Deno.UnixConn> {
  for (let tries = 0;; tries++) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || tries >= BUSY_TRIES) throw error;
      await sleep(BUSY_PAUSE_MS, clock);
    }
  }
}

/** Writes all of `bytes`. Rejects with the system's error. */
export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let left = bytes; left.length > 0;) left = left.subarray(await connection.write(left));
}

/** Closes a connection, of which that may have been done already. */
export function closeConnection(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
