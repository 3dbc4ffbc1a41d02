/** The admin address as HTTP clients see it, and what those cost who connect and say nothing. */

import { equal, match } from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { AdminServer, type AdminSource } from "../../src/admin/mod.ts";
import { sourceOf } from "./fakes.ts";

const source = sourceOf();

/** An admin server on a port of its own, as main's handover would serve it. */
async function withAdmin(
  maxConnections: number,
  use: (port: number, admin: AdminServer) => Promise<void>,
  from: AdminSource = source,
): Promise<void> {
  const admin = new AdminServer({
    listeners: [{ address: "127.0.0.1", port: 80, hostname: null, auth: false, place: "here" }],
    maxConnections,
    source: from,
  });
  let clients = 0;
  // Each from a place of its own unless the test is about one place.
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    admin.serve(socket, {
      place: "here",
      source: maxConnections > 16 ? "127.0.0.1" : `192.0.2.${clients++}`,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use((server.address() as net.AddressInfo).port, admin);
  } finally {
    admin.close();
    server.close();
    await once(server, "close");
  }
}

async function said(port: number, text: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let received = "";
  socket.on("data", (bytes) => received += bytes).on("error", () => {});
  socket.write(text);
  await once(socket, "close");
  return received;
}

async function idle(port: number): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

const requests = [
  {
    text: "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    want: /^HTTP\/1\.1 200 OK\r\n[^]*"status":"ok"/,
  },
  {
    text: "HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    want: /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/,
  },
  { text: "GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", want: /^HTTP\/1\.1 421 / },
  {
    text: "POST /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab",
    want: /^HTTP\/1\.1 405 /,
  },
  { text: "GET /health HTTP/1.1\r\nHost: ][\r\nConnection: close\r\n\r\n", want: /^HTTP\/1\.1 400 / },
  { text: "EHLO client.example.com\r\n\r\n", want: /^(?:HTTP\/1\.1 400 |$)/ },
];
for (const { text, want } of requests) {
  Deno.test(`${JSON.stringify(text.slice(0, 44))} is answered like ${want}`, async () => {
    await withAdmin(32, async (port) => match(await said(port, text), want));
  });
}

Deno.test("a client may ask several things on one connection", async () => {
  await withAdmin(32, async (port) => {
    const one = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const received = await said(port, one + one.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    equal(received.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
  });
});

for (const { max, kept } of [{ max: 8, kept: 8 }, { max: 32, kept: 16 }]) {
  Deno.test(`of idle connections ${kept} stay where ${max} may, the oldest go, and a request is answered`, async () => {
    await withAdmin(max, async (port, admin) => {
      const sockets = [];
      for (let count = 0; count < 3 * kept; count++) sockets.push(await idle(port));
      match(await said(port, requests[0]!.text), requests[0]!.want);
      // What was closed is informed of it in its own time.
      for (const socket of sockets.slice(0, 2 * kept)) if (!socket.closed) await once(socket, "close");
      equal(sockets.filter((socket) => !socket.destroyed).length, kept - 1, "one went for the request");
      equal(admin.size <= kept, true);
      for (const socket of sockets) socket.destroy();
    });
  });
}

Deno.test("where all connections are being answered, one more is closed and they are not", async () => {
  const gate = Promise.withResolvers<{ queue: boolean }>();
  let asked = 0;
  const all = Promise.withResolvers<void>();
  const health = () => {
    if (++asked === 2) all.resolve();
    return gate.promise;
  };
  await withAdmin(2, async (port) => {
    const answers = [said(port, requests[0]!.text), said(port, requests[0]!.text)];
    await all.promise;
    equal(await said(port, requests[0]!.text), "");
    gate.resolve({ queue: true });
    for (const answer of await Promise.all(answers)) match(answer, /200 OK/);
  }, { ...source, health });
});
