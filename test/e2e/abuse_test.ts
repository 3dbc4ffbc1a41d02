/** Hostile clients in small numbers, without a clock: whatever they do, a good client is served and memory stays bounded. `scripts/bench abuse` has the times. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, maildirConfig, run, withDaemon } from "./harness.ts";

const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));
const encoder = new TextEncoder();
const ALLOWED_GROWTH_BYTES = 200 << 20;

function memoryBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]) * 1024;
}

/** Each leaves its connection open and says no more. */
const STALLS: readonly { because: string; leave(client: Client): Promise<unknown> }[] = [
  { because: "say nothing", leave: () => Promise.resolve() },
  { because: "stop in a command", leave: (client) => client.write(encoder.encode("EHLO a.example\r\nMAIL FR")) },
  { because: "stop in a message", leave: (client) => inData(client) },
  { because: "stop in a header section", leave: (client) => inHeader(client) },
  { because: "stop in a chunk", leave: (client) => client.write(encoder.encode(`${ENVELOPE}BDAT 100000\r\nA: b\r\n`)) },
  {
    because: "stop in a handshake",
    leave: (client) =>
      client.write(encoder.encode("EHLO a.example\r\nSTARTTLS\r\n")).then(() => client.write(CLIENT_HELLO)),
  },
  {
    because: "close their side in a command",
    leave: (client) => client.write(encoder.encode("NOO")).then(() => client.closeWrite()),
  },
  {
    because: "ask a lot and read no answer",
    leave: (client) => client.write(encoder.encode("EHLO a.example\r\n".repeat(900))),
  },
];
const STALLS_OF_A_KIND = 50;

const ENVELOPE = `EHLO a.example\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<evil@${DOMAIN}>\r\n`;
/** The beginning of one. */
const CLIENT_HELLO = Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01);

async function inData(client: Client): Promise<void> {
  await client.say("EHLO a.example", "250");
  await client.begin("evil@example.net", `evil@${DOMAIN}`);
}

async function inHeader(client: Client): Promise<void> {
  await inData(client);
  await client.write(encoder.encode(`X-Field: ${"x".repeat(60)}\r\n`.repeat(900)));
}

/** A message from a good client, all the way into its Maildir. */
async function isServed(daemon: Daemon, user: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO good.example.com", "250");
  await client.send("good@example.com", `${user}@${DOMAIN}`, "Subject: served\r\n\r\nx\r\n");
  await client.say("QUIT", "221");
  client.close();
  await daemon.mailbox(user).arrived(1);
}

async function withTls(body: (daemon: Daemon) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const key = `${folder}/mx.key`;
  await Deno.writeTextFile(key, Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  const pki = `pki "mx.example.org" cert "${certificate("mx.pem")}" key "${key}"\n`;
  const config = (daemon: { port: number; mail: string; folder: string }) =>
    pki + maildirConfig(daemon).replace(/^(listen on 127\.0\.0\.1 .*)$/m, '$1 tls pki "mx.example.org"');
  try {
    await withDaemon({ config }, body);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test(`${STALLS.length * STALLS_OF_A_KIND} clients that stall in every way hold up nobody else`, async () => {
  await withTls(async (daemon) => {
    await isServed(daemon, "before");
    const before = memoryBytes(daemon.pid);
    const open: Client[] = [];
    try {
      for (const { because, leave } of STALLS) {
        for (let count = 0; count < STALLS_OF_A_KIND; count++) {
          const client = await Client.connect(daemon.port);
          open.push(client);
          await leave(client);
        }
        await isServed(daemon, because.replaceAll(" ", "-"));
      }
      const growth = memoryBytes(daemon.pid) - before;
      assert.ok(growth < ALLOWED_GROWTH_BYTES, `grew by ${growth >> 20} MB`);
    } finally {
      for (const client of open) client.close();
    }
    await isServed(daemon, "after");
  });
});

Deno.test("of 200 connections at once where 20 are allowed, 180 get 421, the others are served", async () => {
  const config = (daemon: { port: number; mail: string }) => `smtp limit max-sessions 20\n${maildirConfig(daemon)}`;
  await withDaemon({ config }, async (daemon) => {
    const clients = await Promise.all(Array.from({ length: 200 }, () => Client.open(daemon.port)));
    const greetings = await Promise.all(clients.map((client) => client.reply()));
    const served = clients.filter((_, index) => greetings[index]!.startsWith("220 "));
    assert.equal(served.length, 20);
    assert.equal(greetings.filter((text) => text.startsWith("421 4.3.2 ")).length, 180);
    for (const client of served) {
      await client.say("EHLO a.example", "250");
      await client.send("a@example.net", `crowd@${DOMAIN}`, "Subject: x\r\n\r\n");
    }
    for (const client of clients) client.close();
    await daemon.mailbox("crowd").arrived(20);
  });
});

Deno.test("a million pipelined RSETs: most are never looked at, and others are served meanwhile", async () => {
  await withDaemon({}, async (daemon) => {
    const client = await Client.connect(daemon.port);
    const block = encoder.encode("RSET\r\n".repeat(10_000));
    const flood = (async () => {
      for (let sent = 0; sent < 100; sent++) await client.write(block);
    })().catch(() => {});
    await isServed(daemon, "meanwhile");
    let answers = 0;
    for (let text = ""; !text.startsWith("421 4.7.0");) {
      text = await client.reply();
      answers++;
    }
    assert.ok(answers <= 1001, `${answers} answers`);
    // The server closes, however much is on its way still.
    await flood;
    await assert.rejects(client.reply());
    client.close();
    await isServed(daemon, "afterwards");
  });
});

Deno.test("a client that wants to renegotiate TLS loses its session, and nobody else theirs", async () => {
  await withTls(async (daemon) => {
    const other = await Client.connect(daemon.port);
    const args = ["s_client", "-tls1_2", "-starttls", "smtp", "-connect", `127.0.0.1:${daemon.port}`];
    const ran = await run("openssl", args, { input: "R\nNOOP\r\nQUIT\r\n" });
    assert.match(ran.stdout + ran.stderr, /RENEGOTIATING/);
    assert.ok(!ran.stdout.includes("221 2.0.0"), "nothing is served behind it");
    await other.say("NOOP", "250");
    other.close();
    await isServed(daemon, "afterwards");
  });
});
