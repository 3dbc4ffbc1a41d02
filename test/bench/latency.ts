/** How long a client waits between the end of its data and the 250, with 20 sessions at once. */

import { LOCAL_DOMAIN } from "./server.ts";

const SESSIONS = 20;
const MESSAGES_A_SESSION = 50;
/** A greeting comes within this time, or the connection is none. */
const GREETING_MS = 2000;
const MAX_TRIES = 10;

export interface Latency {
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const encoder = new TextEncoder(), decoder = new TextDecoder();
const BODY = encoder.encode(
  `From: sender@example.com\r\nTo: user@${LOCAL_DOMAIN}\r\nSubject: timing\r\n\r\n${"x".repeat(70)}\r\n`.padEnd(
    2040,
    "y",
  ) +
    "\r\n.\r\n",
);

/** Reads one reply that fits one read, as replies to lone commands do; throws when it is not `code`. */
async function expect(connection: Deno.TcpConn, buffer: Uint8Array, code: string): Promise<void> {
  let text = "";
  do {
    const size = await connection.read(buffer);
    if (size === null) throw new Error(`Closed while waiting for ${code}`);
    text += decoder.decode(buffer.subarray(0, size));
  } while (!/^\d{3} [^\n]*\n$/m.test(text));
  if (!text.startsWith(code)) throw new Error(`Wanted ${code}, got ${text}`);
}

async function session(port: number, times: number[]): Promise<void> {
  const buffer = new Uint8Array(4096);
  const connection = await connect(port, buffer);
  try {
    const say = async (line: string, code: string) => {
      await connection.write(encoder.encode(line));
      await expect(connection, buffer, code);
    };
    await say("HELO bench.example.com\r\n", "250");
    for (let index = 0; index < MESSAGES_A_SESSION; index++) {
      await say("MAIL FROM:<sender@example.com>\r\n", "250");
      await say(`RCPT TO:<user@${LOCAL_DOMAIN}>\r\n`, "250");
      await say("DATA\r\n", "354");
      const started = performance.now();
      await connection.write(BODY);
      await expect(connection, buffer, "250");
      times.push(performance.now() - started);
    }
    await say("QUIT\r\n", "221");
  } finally {
    connection.close();
  }
}

/**
 * Connects and takes the greeting. A server whose backlog is full lets a connection look open that it does not have: after a while of
 * silence another one is tried.
 */
async function connect(port: number, buffer: Uint8Array): Promise<Deno.TcpConn> {
  for (let tries = 1;; tries++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    const silence = setTimeout(() => connection.close(), GREETING_MS);
    try {
      await expect(connection, buffer, "220");
      return connection;
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
    } finally {
      clearTimeout(silence);
    }
  }
}

export async function measureLatency(port: number): Promise<Latency> {
  const times: number[] = [];
  await Promise.all(Array.from({ length: SESSIONS }, () => session(port, times)));
  times.sort((one, other) => one - other);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return { p50: at(0.5), p99: at(0.99) };
}
