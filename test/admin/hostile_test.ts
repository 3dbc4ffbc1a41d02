/** HTTP clients of the admin listeners that are slow, large, many or rude, on real sockets. The clock is the test's. */

import { equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { AdminServer, type AdminSource } from "../../src/admin/mod.ts";
import { FakeClock } from "../fake_clock.ts";
import { NOW, sourceOf } from "./fakes.ts";

const PLACE = { address: "127.0.0.1", port: 80, hostname: null, auth: false, place: "here" } as const;
const GET = "GET /api/v1/overview HTTP/1.1\r\nHost: localhost\r\n";
const LOGIN = "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

interface Server {
  readonly admin: AdminServer;
  readonly clock: FakeClock;
  connect(): Promise<Client>;
}

/** A connection, and what came by it. */
class Client {
  readonly #socket: net.Socket;
  text = "";

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.text += bytes).on("error", () => {});
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  /** Resolves with all that came, when the server has closed the connection. */
  async closed(): Promise<string> {
    if (!this.#socket.closed) await once(this.#socket, "close");
    return this.text;
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await once(this.#socket, "data");
  }

  end(): void {
    this.#socket.destroy();
  }
}

async function withServer(use: (server: Server) => Promise<void>, source: AdminSource = sourceOf()): Promise<void> {
  const clock = new FakeClock(NOW);
  const admin = new AdminServer({ listeners: [PLACE], maxConnections: 32, source, clock });
  const accepted: net.Socket[] = [];
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    accepted.push(socket);
    admin.serve(socket, { place: "here", source: "192.0.2.1" });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  try {
    await use({
      admin,
      clock,
      connect: async () => {
        const socket = net.connect(port, "127.0.0.1");
        const client = new Client(socket);
        const before = accepted.length;
        await once(socket, "connect");
        while (accepted.length === before) await new Promise((resolve) => setTimeout(resolve, 1));
        return client;
      },
    });
  } finally {
    admin.close();
    server.close();
    await once(server, "close");
  }
}

for (
  const { name, sent } of [
    { name: "nothing", sent: "" },
    { name: "half a head", sent: GET },
    { name: "half a body", sent: `${LOGIN}Content-Length: 100\r\n\r\n{` },
    { name: "a body of pieces that does not end", sent: `${LOGIN}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n` },
  ]
) {
  Deno.test(`a client that sends ${name} is closed after 10 seconds, however it drips`, async () => {
    await withServer(async ({ clock, connect, admin }) => {
      const client = await connect();
      client.send(sent);
      // The server has seen it when it has answered another one.
      const other = await connect();
      other.send(`${GET}Connection: close\r\n\r\n`);
      match(await other.closed(), /^HTTP\/1\.1 200/);
      clock.advance(9_000);
      equal(admin.size, 1);
      clock.advance(1_001);
      equal(await client.closed(), "");
    });
  });
}

Deno.test("a connection on which nothing is asked again is closed 10 seconds after its answer", async () => {
  await withServer(async ({ clock, connect }) => {
    const client = await connect();
    clock.advance(9_000);
    client.send(`${GET}\r\n`);
    await client.until(/\}$/);
    await new Promise((resolve) => setTimeout(resolve, 10));
    clock.advance(9_000);
    client.send(`${GET}\r\n`);
    await client.until(/\}HTTP[^]*\}$/);
    await new Promise((resolve) => setTimeout(resolve, 10));
    clock.advance(10_001);
    await client.closed();
  });
});

for (
  const { name, sent } of [
    { name: "by its length", sent: `${LOGIN}Content-Length: 16385\r\n\r\n` },
    { name: "in pieces", sent: `${LOGIN}Transfer-Encoding: chunked\r\n\r\n5000\r\n${"x".repeat(0x5000)}\r\n0\r\n\r\n` },
  ]
) {
  Deno.test(`a body that is too large ${name} is refused with 413, and the connection closed`, async () => {
    await withServer(async ({ connect }) => {
      const client = await connect();
      client.send(sent);
      const text = await client.closed();
      match(text, /^HTTP\/1\.1 413 /);
      match(text, /"type":"urn:vaultpost:problem:too-large"/);
      match(text, /x-content-type-options: nosniff/i);
    });
  });
}

for (
  const { name, sent, said = /^(?:HTTP\/1\.1 4\d\d .*|)$/s } of [
    { name: "a head of 100,000 octets", sent: `${GET}X: ${"x".repeat(100_000)}\r\n\r\n`, said: /^HTTP\/1\.1 431 / },
    { name: "TLS", sent: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" },
    { name: "SMTP", sent: "EHLO client.example.com\r\n\r\n" },
    { name: "a target that is none", sent: "GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n" },
    { name: "two lengths", sent: `${LOGIN}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}` },
    { name: "a length and pieces", sent: `${LOGIN}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n` },
  ]
) {
  Deno.test(`${name} brings no answer but a refusal, no stack trace, and others are served`, async () => {
    await withServer(async ({ connect, clock }) => {
      const client = await connect();
      client.send(sent);
      const other = await connect();
      other.send(`${GET}Connection: close\r\n\r\n`);
      match(await other.closed(), /^HTTP\/1\.1 200/);
      clock.advance(10_001);
      const text = await client.closed();
      match(text, said);
      ok(!/\.ts\b|node:/.test(text), text);
    });
  });
}

Deno.test("of many connections that come in one moment and say half of something, none keeps out the one that asks", async () => {
  await withServer(async ({ admin }) => {
    const burst = net.createServer({ pauseOnConnect: true });
    const waiting: net.Socket[] = [];
    burst.on("connection", (socket) => waiting.push(socket));
    burst.listen(0, "127.0.0.1");
    await once(burst, "listening");
    const { port } = burst.address() as net.AddressInfo;
    const clients: Client[] = [];
    for (let count = 0; count < 61; count++) {
      const client = new Client(net.connect(port, "127.0.0.1"));
      client.send(count < 60 ? "GET / HTTP/1.1\r\nHost: localhost\r\nX-" : `${GET}Connection: close\r\n\r\n`);
      clients.push(client);
      while (waiting.length === count) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // As main hands them over when the isolate was busy: in one turn.
    for (const socket of waiting) admin.serve(socket, { place: "here", source: "192.0.2.1" });
    match(await clients.at(-1)!.closed(), /^HTTP\/1\.1 200/);
    for (const client of clients) client.end();
    burst.close();
  });
});

Deno.test("those who listen to events do not keep others out, and their connections close when they leave", async () => {
  await withServer(async ({ connect, clock, admin }) => {
    const listeners: Client[] = [];
    for (let count = 0; count < 4; count++) {
      const client = await connect();
      client.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await client.until(/event: overview/);
      listeners.push(client);
    }
    // All idle places are taken by this client, too.
    for (let count = 0; count < 20; count++) await connect();
    const asking = await connect();
    asking.send(`${GET}Connection: close\r\n\r\n`);
    match(await asking.closed(), /^HTTP\/1\.1 200/);
    // No time of a request is theirs.
    clock.advance(60_000);
    await listeners[0]!.until(/event: overview[^]*event: overview/);
    for (const client of listeners) client.end();
    const again = async (): Promise<void> => {
      const client = await connect();
      client.send("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await client.until(/HTTP\/1\.1 \d/);
      if (client.text.startsWith("HTTP/1.1 200")) return client.end();
      client.end();
      await new Promise((resolve) => setTimeout(resolve, 5));
      return await again();
    };
    await again();
    ok(admin.size <= 32);
  });
});

Deno.test("connections of a listener that is gone are closed, and new ones of it are not served", async () => {
  await withServer(async ({ connect, admin }) => {
    const client = await connect();
    client.send(`${GET}\r\n`);
    await client.until(/\}$/);
    admin.configure([{ ...PLACE, place: "elsewhere" }]);
    await client.closed();
    const late = await connect();
    equal(await late.closed(), "");
  });
});

Deno.test("a listener that asks for a login from now on asks on connections that are open, too", async () => {
  await withServer(async ({ connect, admin }) => {
    const client = await connect();
    client.send(`${GET}\r\n`);
    await client.until(/\}$/);
    admin.configure([{ ...PLACE, auth: true }]);
    client.send(`${GET}\r\n`);
    await client.until(/HTTP\/1\.1 401 [^]*\}\n$/);
    client.end();
  });
});
