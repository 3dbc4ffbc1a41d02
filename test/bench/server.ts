/** What the bench needs of a mail server, and what all servers share: a folder, ports, a way to wait until one answers. */

import { join } from "node:path";

/** Mail for this domain goes to the server's Maildir; mail for the other one goes to the sink. */
export const LOCAL_DOMAIN = "example.org";
export const RELAY_DOMAIN = "relay.test";

export interface Place {
  /** Folder of this server alone; everything that it writes is below. */
  readonly folder: string;
  /** Where it is to listen, on 127.0.0.1. */
  readonly port: number;
  /** Where smtp-sink listens. */
  readonly sinkPort: number;
  /** Folder with the unpacked packages. */
  readonly tools: string;
}

export interface Server {
  readonly name: string;
  /** What is on stable storage when the client sees 250; and what delivery syncs. Seen with strace. */
  readonly syncs: string;
  readonly pid: number;
  /** Processes that work for it and are no descendants of it; their CPU counts. */
  readonly helpers?: readonly number[];
  readonly port: number;
  /** The Maildir that local mail ends in. */
  readonly maildir: string;
  /** A word on a limit that the numbers need. */
  readonly note?: string;
  stop(): Promise<void>;
}

/** Why a server cannot take part. */
export class CannotRun extends Error {}

/** Starts a daemon with its output in `folder`/log and waits for its banner. */
export async function startDaemon(
  place: Place,
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ pid: number; stop(): Promise<void> }> {
  const log = join(place.folder, "log");
  // The shell only opens the log: the daemon writes to a file, as it would in service.
  const child = new Deno.Command("sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, command, ...args],
    env,
    stdin: "null",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  try {
    await answers(place.port, () => ended);
  } catch (error) {
    if (!ended) child.kill("SIGTERM");
    await child.status;
    throw new CannotRun(`${(error as Error).message}: ${(await Deno.readTextFile(log)).slice(-600)}`);
  }
  return {
    pid: child.pid,
    async stop() {
      if (!ended) child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** Resolves when something on the port says 220. */
export async function answers(port: number, ended: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end;) {
    if (ended()) throw new Error("It ended at once");
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const banner = new Uint8Array(512);
      const size = await connection.read(banner);
      if (new TextDecoder().decode(banner.subarray(0, size ?? 0)).startsWith("220")) {
        await connection.write(new TextEncoder().encode("QUIT\r\n"));
        return;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("It does not answer");
}
