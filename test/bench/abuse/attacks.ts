/**
 * What hostile clients do, each attack bounded in clients and by `signal`. Knows nothing of good clients; runs in a process of its own, see
 * attacker.ts.
 */

import { connect, type Line, openMany, rest, shut, startTls } from "./line.ts";

export interface Attack {
  readonly name: string;
  /** As the table has it. */
  readonly because: string;
  /** It goes to the listener that checks mail. */
  readonly checked?: true;
  /** Goes on until `signal`; calls `ready` when the attack is in full swing. Answers what became of it, for the table. */
  run(port: number, signal: AbortSignal, ready: () => void): Promise<string>;
}

const TRANSACTION = "EHLO evil.example\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<user@example.org>\r\nDATA\r\n";

/** Replies that were read, as `421 ×3, 220 ×10000`. */
function tally(codes: ReadonlyMap<string, number>): string {
  return [...codes].sort().map(([code, count]) => `${code} ×${count}`).join(", ");
}

/** When a client that was thrown out comes back. Floods of connections are another attack. */
const RETURN_MS = 500;

/** `count` clients that run `once` again and again. */
async function swarm(
  count: number,
  port: number,
  signal: AbortSignal,
  ready: () => void,
  once: (line: Line) => Promise<void>,
): Promise<string> {
  const ends = new Map<string, number>();
  let sessions = 0;
  const client = async () => {
    while (!signal.aborted) {
      const line = await connect(port).catch(() => null);
      if (line === null) {
        await rest(50, signal);
        continue;
      }
      const stop = () => shut(line);
      signal.addEventListener("abort", stop, { once: true });
      if (++sessions === count) ready();
      await once(line).catch(() => {});
      signal.removeEventListener("abort", stop);
      shut(line);
      if (!signal.aborted) ends.set(line.last, (ends.get(line.last) ?? 0) + 1);
      await rest(RETURN_MS, signal);
    }
  };
  await Promise.all(Array.from({ length: count }, client));
  return `${sessions} sessions; ended with ${tally(ends) || "nothing: all still open"}`;
}

/** Octets of a body that is below the largest size. */
const LARGE_BODY_OCTETS = 30_000_000;

/** Fields that have as many hashes made of the body as there are of them, in both of its forms. Nobody has their keys. */
function signatures(count: number): string {
  return Array.from(
    { length: count },
    (_, at) =>
      `DKIM-Signature: v=1; a=rsa-sha256; d=evil.invalid; s=s; c=relaxed/${at % 2 === 0 ? "relaxed" : "simple"};\r\n` +
      ` l=${LARGE_BODY_OCTETS - at}; h=From; bh=${btoa("\0".repeat(32))}; b=${btoa("\0".repeat(256))}\r\n`,
  ).join("");
}

/** A message of blanks and words, which cost the most to bring into a form, up to its last line. */
async function largeBody(line: Line, fields: string): Promise<void> {
  const encoder = new TextEncoder();
  const block = encoder.encode(`${"a b  c\td ".repeat(7)}\r\n`.repeat(1000));
  const reading = line.drain();
  await line.write(encoder.encode(`${TRANSACTION}${fields}From: e@evil.invalid\r\n\r\n`));
  for (let sent = 0; sent < LARGE_BODY_OCTETS; sent += block.length) await Promise.race([reading, line.write(block)]);
}

/** Writes `bytes` until the server closes; a server that does not read holds this up. */
async function endless(line: Line, first: string, again: string): Promise<void> {
  const encoder = new TextEncoder();
  const block = encoder.encode(again.repeat(Math.ceil(65536 / again.length)));
  const reading = line.drain();
  await line.write(encoder.encode(first));
  await Promise.race([
    reading,
    (async () => {
      for (;;) await line.write(block);
    })(),
  ]);
}

/** Holds `count` connections after `each` has been done with them. */
async function hold(
  count: number,
  port: number,
  signal: AbortSignal,
  ready: () => void,
  each: (line: Line) => Promise<void>,
): Promise<string> {
  const { lines, codes, slowestMs, failed } = await openMany(port, count, each);
  ready();
  await rest(Infinity, signal);
  for (const line of lines) shut(line);
  const slow = `the last answer after ${(slowestMs / 1000).toFixed(1)} s`;
  return `${tally(codes)}, ${slow}${failed > 0 ? `, ${failed} did not connect` : ""}`;
}

/** One octet a second of each of the open lines. */
async function trickle(lines: readonly Line[], text: string, signal: AbortSignal): Promise<void> {
  for (let at = 0; !signal.aborted; at++) {
    const octet = new TextEncoder().encode(text[at % text.length]);
    for (const line of lines) line.write(octet).catch(() => {});
    await rest(1000, signal);
  }
}

async function slow(
  count: number,
  port: number,
  signal: AbortSignal,
  ready: () => void,
  opening: string,
  text: string,
) {
  const { lines, codes } = await openMany(port, count, async (line) => {
    await line.write(new TextEncoder().encode(opening));
  });
  ready();
  const reading = lines.map((line) => line.drain());
  await trickle(lines, text, signal);
  for (const line of lines) shut(line);
  await Promise.allSettled(reading);
  return tally(codes);
}

export const ATTACKS: readonly Attack[] = [
  {
    name: "slow-commands",
    because: "1,000 clients that send an octet of a command a second",
    run: (port, signal, ready) => slow(1000, port, signal, ready, "", "NOOP".padEnd(500, " x")),
  },
  {
    name: "slow-data",
    because: "1,000 clients that send an octet of a message a second",
    run: (port, signal, ready) => slow(1000, port, signal, ready, TRANSACTION, "Subject: slow"),
  },
  {
    name: "connections",
    because: "10,000 connections at once",
    run: (port, signal, ready) => hold(10_000, port, signal, ready, () => Promise.resolve()),
  },
  {
    name: "endless-line",
    because: "50 clients with command lines that do not end",
    run: (port, signal, ready) => swarm(50, port, signal, ready, (line) => endless(line, "EHLO ", "x")),
  },
  {
    name: "endless-data-line",
    because: "50 clients with a message of one line that does not end",
    run: (port, signal, ready) =>
      swarm(50, port, signal, ready, (line) => endless(line, `${TRANSACTION}A: b\r\n\r\n`, "x")),
  },
  {
    name: "endless-headers",
    because: "10 clients with header sections that do not end",
    run: (port, signal, ready) =>
      swarm(10, port, signal, ready, (line) => endless(line, TRANSACTION, `X-Field: ${"y".repeat(60)}\r\n`)),
  },
  {
    name: "large-bodies",
    because: "4 clients with messages of 30 MB, again and again",
    run: (port, signal, ready) => swarm(4, port, signal, ready, (line) => largeBody(line, "")),
  },
  {
    name: "signed-bodies",
    because: "the same with ten signatures, each of another part of the body, to a listener that checks them",
    checked: true,
    run: (port, signal, ready) => swarm(4, port, signal, ready, (line) => largeBody(line, signatures(10))),
  },
  {
    name: "resets",
    because: "50 clients that pipeline 100,000 RSETs each, again and again",
    run: (port, signal, ready) =>
      swarm(50, port, signal, ready, async (line) => {
        const reading = line.drain();
        await Promise.race([reading, line.write(new TextEncoder().encode("RSET\r\n".repeat(100_000)))]);
        await reading;
      }),
  },
  {
    name: "half-closed",
    because: "500 clients that say one half of a command and close their side",
    run: (port, signal, ready) =>
      swarm(500, port, signal, ready, async (line) => {
        await line.write(new TextEncoder().encode("EHLO evil.example\r\nMAIL FR"));
        await line.closeWrite();
        await line.drain();
      }),
  },
  {
    name: "never-reading",
    because: "500 clients that pipeline commands and read no reply",
    run: (port, signal, ready) =>
      swarm(500, port, signal, ready, async (line) => {
        const block = new TextEncoder().encode("EHLO evil.example\r\n".repeat(900));
        for (let count = 0; count < 100; count++) await line.write(block);
        await rest(Infinity, signal);
      }),
  },
  {
    name: "stalled-tls",
    because: "500 clients that begin a TLS handshake and stop",
    run: (port, signal, ready) =>
      hold(500, port, signal, ready, async (line) => {
        await line.write(new TextEncoder().encode("EHLO evil.example\r\n"));
        await line.reply();
        await line.write(new TextEncoder().encode("STARTTLS\r\n"));
        await line.reply();
        // The head of a ClientHello, and no more.
        await line.write(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01));
      }),
  },
  {
    name: "renegotiation",
    because: "10 clients that ask for another handshake again and again",
    run: (port, signal, ready) => startTls(10, port, signal, ready),
  },
  {
    name: "idle",
    because: "2,000 sessions that say nothing",
    run: (port, signal, ready) => hold(2000, port, signal, ready, () => Promise.resolve()),
  },
];
