/**
 * Handshakes that fail, 20,000 in each direction: what they leave behind in the daemon's memory. Clients leave after STARTTLS, and the next host
 * answers our STARTTLS with something else than TLS.
 */

import { join } from "node:path";
import { memoryBytes } from "../processes.ts";
import { type Place, RELAY_DOMAIN, type Server } from "../server.ts";
import { startVaultpost } from "../vaultpost.ts";
import { freePort } from "../../ports.ts";
import { connect, shut } from "./line.ts";

const CONNECTIONS = 20_000, WARM = 2_000;
/** Octets that one may leave; garbage that was not collected yet is among them. */
const BOUND = 5_000;
const AT_ONCE = 10;
/** Longer than any message takes to be relayed. */
const STALLED_MS = 30_000;

const encode = (text: string) => new TextEncoder().encode(text);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What clients send where their ClientHello should be. */
const NO_HELLOS = ["", "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03", "GET / HTTP/1.1\r\n\r\n"].map(encode);

async function leave(server: Server, index: number): Promise<void> {
  const line = await connect(server.port);
  try {
    await line.reply();
    for (const command of ["EHLO scan.example\r\n", "STARTTLS\r\n"]) {
      await line.write(encode(command));
      await line.reply();
    }
    const sent = NO_HELLOS[index % NO_HELLOS.length]!;
    if (sent.length > 0) await line.write(sent);
  } finally {
    shut(line);
  }
}

/** `count` times, `AT_ONCE` at a time. */
async function repeat(count: number, once: (index: number) => Promise<void>): Promise<void> {
  let begun = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let index = begun++; index < count; index = begun++) await once(index);
  }));
}

/** A next host that offers STARTTLS and cannot do it; takes mail in clear. Counts handshakes that failed and messages that came. */
function brokenHost(port: number): { readonly counts: { failed: number; messages: number }; stop(): void } {
  const counts = { failed: 0, messages: 0 };
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const serve = async (connection: Deno.Conn) => {
    const bytes = new Uint8Array(65536);
    const say = (text: string) => connection.write(encode(`${text}\r\n`));
    await say("220 broken.example");
    let data = false, rest = "";
    for (;;) {
      const size = await connection.read(bytes);
      if (size === null) return;
      rest += new TextDecoder("latin1").decode(bytes.subarray(0, size));
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const text = rest.slice(0, end);
        rest = rest.slice(end + 2);
        if (data && text !== ".") continue;
        if (data) counts.messages++;
        data = /^DATA$/i.test(text);
        if (/^STARTTLS$/i.test(text)) {
          counts.failed++;
          return void await say("220 go\r\nthis is not TLS");
        }
        if (/^EHLO/i.test(text)) await say("250-broken.example\r\n250 STARTTLS");
        else if (data) await say("354 go on");
        else await say("250 2.0.0 ok");
      }
    }
  };
  (async () => {
    for await (const connection of listener) {
      serve(connection).catch(() => {}).finally(() => {
        try {
          connection.close();
        } catch {
          // The other side was first.
        }
      });
    }
  })().catch(() => {});
  return { counts, stop: () => listener.close() };
}

const MAIL = `MAIL FROM:<sender@example.com>\r\nRCPT TO:<user@${RELAY_DOMAIN}>\r\nDATA\r\n`;

/** Sends `count` messages for the broken host and waits until it has them all. */
async function relay(server: Server, host: ReturnType<typeof brokenHost>, count: number): Promise<void> {
  const until = host.counts.messages + count;
  let begun = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    const line = await connect(server.port);
    await line.reply();
    await line.write(encode("EHLO client.example\r\n"));
    await line.reply();
    while (begun++ < count) {
      for (
        const part of [...MAIL.trimEnd().split("\r\n").map((one) => `${one}\r\n`), "Subject: soak\r\n\r\nx\r\n.\r\n"]
      ) {
        await line.write(encode(part));
        await line.reply();
      }
    }
    shut(line);
  }));
  for (let seen = -1, since = Date.now(); host.counts.messages < until;) {
    if (host.counts.messages !== seen) [seen, since] = [host.counts.messages, Date.now()];
    else if (Date.now() - since > STALLED_MS) throw new Error(`${until - seen} messages were not relayed`);
    await pause(100);
  }
}

const LIMITS = "conn-delay-host conn-delay-route reconn-delay-route conn-delay-relay session-keepalive".split(" ")
  .map((name) => `mta limit ${name} 0\n`).join("") + "mta limit session-mail-max 1\n";

/** A table of what 20,000 failed handshakes in each direction leave. */
export async function failedHandshakes(folder: string, pair: { cert: string; key: string }): Promise<string> {
  const sinkPort = freePort();
  const place: Place = { folder: join(folder, "soak"), port: freePort(), sinkPort, tools: "" };
  await Deno.mkdir(place.folder, { mode: 0o755 });
  const host = brokenHost(sinkPort);
  const server = await startVaultpost(place, pair, LIMITS);
  const rows = ["| failed handshakes | number | memory MB before, after | octets each |", "| --- | --- | --- | --- |"];
  const soak = async (name: string, run: (count: number) => Promise<void>) => {
    console.error(`failed handshakes: ${name}`);
    await run(WARM);
    await pause(2000);
    const before = memoryBytes(server.pid);
    await run(CONNECTIONS);
    await pause(2000);
    const after = memoryBytes(server.pid);
    const each = Math.round((after - before) / CONNECTIONS);
    const bound = each > BOUND ? `over the bound of ${BOUND}` : `bound ${BOUND}`;
    rows.push(
      `| ${name} | ${CONNECTIONS} | ${Math.round(before / 1e6)}, ${Math.round(after / 1e6)} | ${each} (${bound}) |`,
    );
  };
  try {
    await soak("clients that leave before their ClientHello", (count) => repeat(count, (at) => leave(server, at)));
    const failedBefore = host.counts.failed;
    await soak("a next host that cannot do TLS", (count) => relay(server, host, count));
    if (host.counts.failed - failedBefore < CONNECTIONS) {
      rows.push(`| only ${host.counts.failed} connections failed | | | |`);
    }
  } finally {
    await server.stop();
    host.stop();
  }
  return rows.join("\n");
}
