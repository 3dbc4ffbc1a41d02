/**
 * Handshakes that fail, each kind many times, in both directions; says as JSON how many octets of the heap each connection left behind. Runs in a
 * process of its own with `--v8-flags=--expose-gc`; see aborted_test.ts.
 */

import net, { type AddressInfo } from "node:net";
import { adoptSocket, detachDescriptor } from "../../src/sockets/mod.ts";
import { connectClient, uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { SocketWire } from "../../src/smtp/wire.ts";
import { ServerTls } from "../../src/tls/mod.ts";

const AT_ONCE = 10, WARM = 40;
const CONNECTIONS = Number(Deno.args[0]);

const file = (name: string) => Deno.readTextFileSync(new URL(`../smtp/certificates/${name}`, import.meta.url));
const pairs = [{ cert: file("mx.pem"), key: file("mx.key") }, { cert: file("other.pem"), key: file("other.key") }];
const served = new ServerTls({ pairs, now: Date.now });
const collect = (globalThis as unknown as { gc(): void }).gc;

function listen(accept: (socket: net.Socket) => void, pauseOnConnect: boolean): Promise<number> {
  const server = net.createServer({ pauseOnConnect }, accept);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));
}

/** A ClientHello as Deno's own TLS sends it. */
async function hello(): Promise<Uint8Array> {
  let received!: (bytes: Uint8Array) => void;
  const sent = new Promise<Uint8Array>((resolve) => received = resolve);
  const port = await listen((socket) => socket.once("data", (bytes) => (received(bytes), socket.destroy())), false);
  await connectClient({
    to: { host: "127.0.0.1", port },
    timeouts: uniformTimeouts(5000),
    tls: { serverName: "a.example", verify: false },
  })
    .catch(() => {});
  return (await sent).slice();
}

const HELLO = await hello();

/** What a client sends to us before it goes. */
const incoming: Record<string, { readonly send: Uint8Array | string; readonly waits: boolean }> = {
  "nothing": { send: "", waits: false },
  "half a ClientHello": { send: HELLO.subarray(0, 60), waits: false },
  "something else than TLS": { send: "GET / HTTP/1.1\r\n\r\n", waits: true },
  "a ClientHello, and goes at the ServerHello": { send: HELLO, waits: true },
  "a ClientHello, and goes at once": { send: HELLO, waits: false },
};
/** What a server does after the first octets of our handshake. */
const outgoing: Record<string, (socket: net.Socket) => void> = {
  "closes": (socket) => socket.destroy(),
  "answers something else than TLS": (socket) => socket.end("220 this is not TLS\r\n"),
  "sends an alert": (socket) => socket.end(Uint8Array.of(21, 3, 3, 0, 2, 2, 40)),
  "says nothing": () => {},
};

/** Every end of a connection that this process holds; the servers' answers to STARTTLS included. */
async function inUs(starttls: boolean, { send, waits }: (typeof incoming)[string]): Promise<() => Promise<void>> {
  const port = await listen((socket) => {
    const wire: SocketWire = new SocketWire(detachDescriptor(socket), { tls: served, tlsFirst: !starttls }, () => {});
    wire.listen({
      // STARTTLS, whatever was said.
      data: () => wire.secure("220 2.0.0 go\r\n"),
      drained: () => {},
      ended: () => wire.destroy(),
      secured: () => wire.destroy(),
    });
    if (starttls) wire.start();
    else wire.secure("");
  }, true);
  return () =>
    new Promise<void>((resolve) => {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {}).on("close", () => resolve());
      const begin = () => {
        if (send.length > 0) socket.write(send as Uint8Array);
        if (!waits) setTimeout(() => socket.destroy(), 2);
        socket.once("data", () => socket.destroy()).once("end", () => socket.destroy());
      };
      if (!starttls) return begin();
      socket.write("STARTTLS\r\n");
      socket.once("data", begin);
    });
}

async function fromUs(starttls: boolean, act: (socket: net.Socket) => void): Promise<() => Promise<void>> {
  const port = await listen((accepted) => {
    const socket = adoptSocket(detachDescriptor(accepted)).on("data", () => {}).on("end", () => socket.destroy());
    if (!starttls) return void socket.once("data", () => act(socket));
    socket.write("220 mx.example.net\r\n");
    const answers = ["250-mx.example.net\r\n250 STARTTLS\r\n", "220 go\r\n"];
    socket.on("data", () => {
      const answer = answers.shift();
      if (answer === undefined) act(socket);
      else socket.write(answer);
    });
  }, true);
  const to = { host: "127.0.0.1", port };
  const tls = { serverName: "mx.example.net", verify: false };
  return async () => {
    const client = await connectClient({ to, timeouts: uniformTimeouts(50), ...(starttls ? {} : { tls }) }).catch(() =>
      null
    );
    if (client === null) return;
    await client.hello("me").catch(() => {});
    await client.startTls(tls).catch(() => {});
    client.close();
  };
}

async function heap(): Promise<number> {
  // What was closed lets go of its last references in the next turns of the event loop.
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
  return Deno.memoryUsage().heapUsed;
}

async function repeat(count: number, once: () => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, once));
}

async function costOf(once: () => Promise<void>): Promise<number> {
  await repeat(WARM, once);
  const before = await heap();
  await repeat(CONNECTIONS, once);
  return Math.round((await heap() - before) / CONNECTIONS);
}

const costs: Record<string, number> = {};
for (const starttls of [false, true]) {
  const way = starttls ? "STARTTLS" : "smtps";
  for (const [name, row] of Object.entries(incoming)) {
    costs[`${way}: the client sends ${name}`] = await costOf(await inUs(starttls, row));
  }
  for (const [name, act] of Object.entries(outgoing)) {
    costs[`${way}: the server ${name}`] = await costOf(await fromUs(starttls, act));
  }
}
console.log(JSON.stringify(costs));
Deno.exit(0);
