/**
 * The service over real loopback sockets: adopted descriptors, STARTTLS, smtps, SNI, client certificates, clients that behave badly. Long,
 * because all of them speak to the one server at its head by the one client below it.
 */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { setImmediate } from "node:timers";
import net from "node:net";
import tls from "node:tls";
import type { Event } from "../../src/events/mod.ts";
import { detachDescriptor } from "../../src/sockets/mod.ts";
import type { FromLookup, Listener, QueueToSmtp, SmtpSettings, SmtpToQueue, ToLookup } from "../../src/protocol/mod.ts";
import { SmtpService } from "../../src/smtp/service.ts";
import { bytesOf, certificate, delivered, FakeChannel, listener, settings, textOf } from "./support.ts";
import { msgid } from "../ids.ts";

/** A server on a port of its own that hands its connections over as main does. */
class Server {
  readonly events: Event[] = [];
  readonly stored: string[] = [];
  port = 0;
  /** Milliseconds that the server's clock is ahead. */
  later = 0;
  /** Number of the configuration that sessions come with. */
  generation: number | null = null;
  readonly service: SmtpService;
  readonly #server: net.Server;
  #ended = Promise.withResolvers<void>();
  #endings = 0;
  #wake: (() => void)[] = [];
  readonly #clocked = Promise.withResolvers<void>();

  constructor(changes: Partial<Listener> = {}, settingsChanges: Partial<SmtpSettings> = {}, name?: Promise<void>) {
    const lookup: FakeChannel<ToLookup, FromLookup> = new FakeChannel((message, channel) => {
      if (message.type === "expand") {
        channel.onmessage({ type: "expanded", call: message.call, result: delivered(message) });
      } else {
        const { call } = message;
        const answer = () => channel.onmessage({ type: "client-name", call, hostname: "localhost", confirmed: "pass" });
        if (name === undefined) answer();
        else name.then(answer);
      }
    });
    const parts = new Map<string, string[]>();
    const queue: FakeChannel<SmtpToQueue, QueueToSmtp> = new FakeChannel((message, channel) => {
      if (message.type === "abort" || message.type === "ids-wanted" || message.type === "dmarc-result") return;
      if (message.type === "chunk") {
        parts.set(message.message, [...parts.get(message.message) ?? [], textOf(message.bytes)]);
        return channel.onmessage({ type: "credit", message: message.message });
      }
      this.stored.push((parts.get(message.message) ?? []).join("") + textOf(message.tail));
      channel.onmessage({ type: "committed", message: message.message, number: 1 });
    });
    this.service = new SmtpService({
      settings: settings([listener(changes)], settingsChanges),
      lookup,
      queue,
      emit: (event) => this.events.push(event),
      clock: {
        now: () => Date.now() + this.later,
        steady: () => Date.now() + this.later,
        every: (ms, run) => {
          this.#clocked.resolve();
          const timer = setInterval(run, ms);
          return () => clearInterval(timer);
        },
        soon: (run) => void setImmediate(run),
      },
      ended: () => {
        this.#ended.resolve();
        this.#endings++;
        for (const wake of this.#wake.splice(0)) wake();
      },
    });
    queue.onmessage({ type: "ids", ids: [msgid("00000002"), msgid("00000001")] });
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => {
      const peer = { address: socket.remoteAddress ?? "local", port: socket.remotePort ?? 0, uid: null };
      const session = { descriptor: detachDescriptor(socket), listener: 0, peer, sessionNumber: 0 };
      this.service.session({ ...session, ...this.generation !== null && { generation: this.generation } });
    });
  }

  async listen(path?: string): Promise<this> {
    if (path === undefined) this.#server.listen(0, "127.0.0.1");
    else this.#server.listen(path);
    await once(this.#server, "listening");
    if (path === undefined) this.port = (this.#server.address() as net.AddressInfo).port;
    return this;
  }

  /** Resolves when a client has been handed over. */
  async accepted(): Promise<void> {
    while (this.service.size === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Resolves when the server waits for time to pass. */
  get clockStarted(): Promise<void> {
    return this.#clocked.promise;
  }

  /** Resolves when so many sessions have ended. */
  async endings(count: number): Promise<void> {
    while (this.#endings < count) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  /** Resolves when a session has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** A client that collects what it receives. */
class Dialogue {
  received = "";
  socket: net.Socket;
  #wake = () => {};
  #closed = false;

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.#follow(socket);
  }

  #follow(socket: net.Socket): void {
    socket.on("data", (bytes) => {
      this.received += textOf(bytes as Uint8Array);
      this.#wake();
    });
    socket.on("close", () => {
      this.#closed = true;
      this.#wake();
    });
    socket.on("error", () => {});
  }

  /** Waits until what was received matches, and forgets it. */
  async receives(pattern: RegExp): Promise<string> {
    for (;;) {
      if (pattern.test(this.received)) {
        const { received } = this;
        this.received = "";
        return received;
      }
      assert.ok(!this.#closed, `closed after ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async closed(): Promise<string> {
    while (!this.#closed) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.received;
  }

  say(text: string): void {
    this.socket.write(bytesOf(text));
  }

  /** Begins TLS on the connection. */
  async secure(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const plain = this.socket;
    plain.removeAllListeners("data");
    const secured = tls.connect({ socket: plain, rejectUnauthorized: false, ...options });
    this.#follow(secured);
    this.socket = secured;
    await once(secured, "secureConnect");
    return secured;
  }
}

async function dial(server: Server): Promise<Dialogue> {
  const socket = net.connect(server.port, "127.0.0.1");
  await once(socket, "connect");
  return new Dialogue(socket);
}

const MESSAGE = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";

Deno.test("a session over an adopted descriptor, from banner to end", async () => {
  await using server = await new Server().listen();
  const client = await dial(server);
  await client.receives(/^220 mx\.example\.org ESMTP Vaultpost\r\n$/);
  client.say(`EHLO a.example\r\n${MESSAGE}`);
  await client.receives(/354 .*\r\n$/);
  client.say("Subject: hello\r\n\r\nbody\r\n.\r\nQUIT\r\n");
  assert.match(await client.closed(), /^250 2\.0\.0 00000001 [^\r]*\r\n221 2\.0\.0 Bye\r\n$/);
  await server.ended;
  assert.match(server.stored[0]!, /\nSubject: hello\n\nbody\n$/);
  assert.deepEqual(server.events.map(({ type }) => type), [
    "smtp-connected",
    "smtp-message",
    "smtp-envelope",
    "smtp-committed",
    "smtp-disconnected",
  ]);
});

Deno.test("a session of a configuration that is not known here is closed, not served by another one", async () => {
  await using server = await new Server().listen();
  server.generation = 1;
  const client = await dial(server);
  assert.equal(await client.closed(), "");
  await server.ended;
  const text = "warn: smtp: no listener 0 of generation 1: the connection is closed";
  assert.deepEqual(server.events, [{ type: "log", level: "warn", text }]);
});

Deno.test("what a client says before the banner waits for it", async () => {
  const name = Promise.withResolvers<void>();
  await using server = await new Server({}, {}, name.promise).listen();
  const client = await dial(server);
  client.say("HELO a.example\r\n");
  await server.accepted();
  client.say("NOOP\r\nQUIT\r\n");
  name.resolve();
  assert.match(await client.closed(), /^220 [^\r]+\r\n250 [^\r]+\r\n250 2\.0\.0 Ok\r\n221 2\.0\.0 Bye\r\n$/);
  await server.ended;
});

Deno.test("who says much before the banner is not kept waiting with it: the connection is closed", async () => {
  const name = Promise.withResolvers<void>();
  await using server = await new Server({}, {}, name.promise).listen();
  const client = await dial(server);
  client.say("NOOP\r\n".repeat(1000));
  assert.equal(await client.closed(), "");
  await server.ended;
  name.resolve();
  assert.equal(server.stored.length, 0);
});

Deno.test("a session over a unix socket", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await new Server({ socket: true, local: true }).listen(`${folder}/smtp.sock`);
    const socket = net.connect(`${folder}/smtp.sock`);
    await once(socket, "connect");
    const client = new Dialogue(socket);
    await client.receives(/^220 /);
    client.say(`EHLO localhost\r\n${MESSAGE}`);
    await client.receives(/354 .*\r\n$/);
    client.say("Subject: hello\r\n.\r\nQUIT\r\n");
    assert.match(await client.closed(), /^250 2\.0\.0 00000001 [^\r]*\r\n221 2\.0\.0 Bye\r\n$/);
    await server.ended;
    assert.match(server.stored[0]!, /^Received: from localhost \(mx\.example\.org \[local\]\)\n[^]*with ESMTPA id/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("STARTTLS: the session goes on under TLS, Received and log say so", async () => {
  await using server = await new Server({ tls: "tls" }).listen();
  const client = await dial(server);
  await client.receives(/^220 /);
  client.say("EHLO a.example\r\n");
  await client.receives(/250-STARTTLS\r\n[^]*250 HELP\r\n$/);
  client.say("STARTTLS\r\n");
  await client.receives(/^220 2\.0\.0 [^\r]*\r\n$/);
  const secured = await client.secure();
  assert.equal(secured.getProtocol(), "TLSv1.3");
  client.say(`EHLO a.example\r\n${MESSAGE}`);
  assert.ok(!(await client.receives(/354 .*\r\n$/)).includes("STARTTLS"));
  client.say("A: b\r\n.\r\n");
  await client.receives(/^250 /);
  client.say("QUIT\r\n");
  await client.receives(/^221 /);
  await server.ended;
  assert.match(server.stored[0]!, /with ESMTPS id 00000001 \(TLSv1\.3:TLS_AES_256_GCM_SHA384:256:NO\)\n/);
  const ciphers = server.events.find(({ type }) => type === "smtp-tls");
  assert.deepEqual((ciphers as { ciphers: string }).ciphers, "TLSv1.3:TLS_AES_256_GCM_SHA384:256");
});

const names: readonly { ask: string | undefined; get: string; because: string }[] = [
  { ask: "other.example.net", get: "other.example.net", because: "the second certificate by its name" },
  { ask: "OTHER.example.net", get: "other.example.net", because: "in any case" },
  { ask: "a.wild.example", get: "other.example.net", because: "by its wildcard" },
  { ask: "a.b.wild.example", get: "mx.example.org", because: "a wildcard is one label" },
  { ask: "mx.example.org", get: "mx.example.org", because: "the first by its name" },
  { ask: "unknown.example", get: "mx.example.org", because: "the first for unknown names" },
  { ask: undefined, get: "mx.example.org", because: "the first for no name" },
];
for (const { ask, get, because } of names) {
  Deno.test(`smtps with SNI ${ask}: ${because}`, async () => {
    await using server = await new Server({ tls: "smtps" }).listen();
    const client = await dial(server);
    const secured = await client.secure(ask === undefined ? {} : { servername: ask });
    assert.equal(secured.getPeerCertificate().subject.CN, get);
    await client.receives(/^220 /);
    client.say("QUIT\r\n");
    await client.receives(/^221 /);
    await server.ended;
  });
}

Deno.test("versions: TLS 1.2 is spoken, with `protocols tlsv1.3` it is not", async () => {
  for (const [protocols, works] of [[null, true], ["tlsv1.3", false]] as const) {
    await using server = await new Server({ tls: "smtps", protocols }).listen();
    const client = await dial(server);
    const result = await client.secure({ maxVersion: "TLSv1.2" }).then((socket) => socket.getProtocol(), () => null);
    assert.equal(result, works ? "TLSv1.2" : null);
    client.socket.destroy();
    await server.ended;
    const last = server.events.at(-1) as { type: string; reason: string };
    assert.equal(last.type, "smtp-disconnected");
    assert.match(last.reason, works ? /^disconnect$/ : /^io-error: /);
  }
});

const clients: readonly { show: "client" | "mx" | null; welcome: boolean; because: string }[] = [
  { show: "client", welcome: true, because: "issued by the authority" },
  { show: "mx", welcome: false, because: "issued by somebody else" },
  { show: null, welcome: false, because: "none shown" },
];
for (const { show, welcome, because } of clients) {
  Deno.test(`a listener with verify and a client certificate ${because}: ${welcome ? "served" : "turned away"}`, async () => {
    await using server = await new Server({ tls: "smtps", verify: true, ca: "authority" }).listen();
    const client = await dial(server);
    const options = show === null ? {} : { cert: certificate(`${show}.pem`), key: certificate(`${show}.key`) };
    await client.secure(options).catch(() => {});
    if (welcome) {
      await client.receives(/^220 /);
      client.say(`EHLO a.example\r\n${MESSAGE}`);
      await client.receives(/354 .*\r\n$/);
      client.say(".\r\n");
      await client.receives(/^250 /);
      assert.match(server.stored[0]!, /:256:YES\)\n/);
      const { fingerprint256 } = new X509Certificate(certificate(`${show}.pem`));
      const fingerprint = `SHA256:${fingerprint256.replaceAll(":", "").toLowerCase()}`;
      const event = server.events.find(({ type }) => type === "smtp-cert-check");
      const { session } = event as { session: string };
      assert.deepEqual(event, { type: "smtp-cert-check", session, result: "verified", fingerprint });
      client.socket.destroy();
    } else assert.equal(await client.closed(), "", "nothing is said to it");
    await server.ended;
    if (!welcome) assert.match((server.events.at(-1) as { reason: string }).reason, /^io-error: /);
  });
}

Deno.test("plain text to an smtps port ends the session, nothing else", async () => {
  await using server = await new Server({ tls: "smtps" }).listen();
  const client = await dial(server);
  client.say("EHLO a.example\r\n");
  assert.ok(!(await client.closed()).includes("250"));
  await server.ended;
});

Deno.test("octets that are no TLS, behind the handshake, end the session at once", async () => {
  await using server = await new Server({ tls: "smtps" }).listen();
  const client = await dial(server);
  const plain = client.socket;
  await client.secure();
  await client.receives(/^220 /);
  plain.write("HELO in.clear.example\r\n");
  await client.closed();
  await server.ended;
  assert.match((server.events.at(-1) as { reason: string }).reason, /^io-error: /);
});

Deno.test("commands put behind STARTTLS are not run, neither in clear nor under TLS", async () => {
  await using server = await new Server({ tls: "tls" }).listen();
  const client = await dial(server);
  await client.receives(/^220 /);
  client.say("EHLO a.example\r\nSTARTTLS\r\nMAIL FROM:<evil@example.net>\r\n");
  assert.match(await client.closed(), /\r\n500 5\.5\.1 [^\r]*\r\n$/);
  await server.ended;
});

Deno.test("a handshake that is never begun ends with the idle time", async () => {
  await using server = await new Server({ tls: "smtps" }, { idleTimeoutMs: 100 }).listen();
  const client = await dial(server);
  assert.equal(await client.closed(), "");
  await server.ended;
  assert.equal((server.events.at(-1) as { reason: string }).reason, "timeout");
});

Deno.test("a client that resets, and one that leaves without QUIT, end their sessions", async () => {
  for (const leave of ["resetAndDestroy", "destroy", "end"] as const) {
    await using server = await new Server().listen();
    const client = await dial(server);
    await client.receives(/^220 /);
    client.socket[leave]();
    await server.ended;
    assert.equal((server.events.at(-1) as { reason: string }).reason, "disconnect");
    assert.equal(server.service.size, 0);
  }
});

for (const leave of ["destroy", "end"] as const) {
  for (const tls of ["smtps", "tls"] as const) {
    Deno.test(`a client that leaves before its handshake ends its session (${tls}, ${leave})`, async () => {
      await using server = await new Server({ tls }).listen();
      const client = await dial(server);
      if (tls === "tls") {
        await client.receives(/^220 /);
        client.say("EHLO a.example\r\n");
        await client.receives(/ HELP\r\n$/);
        client.say("STARTTLS\r\n");
        await client.receives(/220 [^\r]*\r\n$/);
      } else await server.accepted();
      client.socket[leave]();
      await server.ended;
      assert.equal((server.events.at(-1) as { reason: string }).reason, "disconnect");
    });
  }
}

Deno.test("the last words arrive although the client goes on sending", async () => {
  await using server = await new Server().listen();
  const client = await dial(server);
  await client.receives(/^220 /);
  client.say(`NOOP\n${"x".repeat(500_000)}`);
  assert.match(await client.receives(/\r\n$/), /^500 5\.5\.2 /);
  client.socket.end();
  await server.ended;
});

for (const [megabytes, secure] of [[30, false], [10, true]] as const) {
  Deno.test(`a ${megabytes} MB message arrives whole${secure ? " under TLS" : ""}, from two clients at once`, async () => {
    await using server = await new Server({ tls: secure ? "smtps" : "none" }).listen();
    const line = "0123456789".repeat(7) + "\r\n";
    const block = bytesOf(line.repeat(4096));
    const blocks = Math.floor(megabytes * 1_000_000 / block.length);
    const send = async () => {
      const client = await dial(server);
      if (secure) await client.secure();
      await client.receives(/^220 /);
      client.say(`EHLO a.example\r\n${MESSAGE}`);
      await client.receives(/354 .*\r\n$/);
      client.say("Subject: big\r\n\r\n");
      for (let sent = 0; sent < blocks; sent++) {
        if (!client.socket.write(block)) await once(client.socket, "drain");
      }
      client.say(".\r\n");
      await client.receives(/^250 /);
      client.say("QUIT\r\n");
      await client.receives(/^221 /);
    };
    await Promise.all([send(), send()]);
    assert.equal(server.stored.length, 2);
    const end = `\nSubject: big\n\n${line.replace("\r", "").repeat(4096 * blocks)}`;
    for (const text of server.stored) assert.ok(text.endsWith(end));
  });
}

const PROXIED = "PROXY TCP4 192.0.2.77 127.0.0.1 4321 25\r\n";
const PROXIED_2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x4d\x7f\0\0\x01\x10\xe1\0\x19";

Deno.test("behind a proxy the client is who the header says, and nothing behind the header is lost", async () => {
  await using server = await new Server({ proxyV2: true }).listen();
  const session = `EHLO a.example\r\n${"NOOP\r\n".repeat(40)}QUIT\r\n`;
  for (let round = 0; round < 50; round++) {
    const client = await dial(server);
    client.say((round % 2 === 0 ? PROXIED : PROXIED_2) + session);
    const received = await client.closed();
    assert.match(received, /^220 [^\r]+\r\n250-mx\.example\.org Hello a\.example \[192\.0\.2\.77\], /);
    assert.equal(received.match(/250 2\.0\.0 Ok\r\n/g)?.length, 40);
    assert.match(received, /\r\n221 2\.0\.0 Bye\r\n$/);
  }
  await server.ended;
  const connected = server.events.filter((event) => event.type === "smtp-connected");
  assert.ok(connected.every(({ address }) => address === "192.0.2.77"));
});

Deno.test("a PROXY header comes before the handshake of smtps, in one packet or octet by octet", async () => {
  await using server = await new Server({ proxyV2: true, tls: "smtps" }).listen();
  for (const header of [PROXIED, PROXIED_2]) {
    for (const pieces of [[header], [...header]]) {
      const client = await dial(server);
      client.socket.setNoDelay(true);
      for (const piece of pieces) client.say(piece);
      // Corked: the hello of TLS leaves together with the header.
      await client.secure();
      await client.receives(/^220 /);
      client.say("EHLO a.example\r\n");
      await client.receives(/Hello a\.example \[192\.0\.2\.77\]/);
      client.say("QUIT\r\n");
      await client.closed();
    }
  }
});

Deno.test("what is no PROXY header is closed without a word, and the log says whose and why", async () => {
  await using server = await new Server({ proxyV2: true }).listen();
  const client = await dial(server);
  client.say("EHLO a.example\r\n");
  assert.equal(await client.closed(), "");
  await server.ended;
  const logged = server.events.map((event) => event.type === "log" ? event.text : event.type);
  assert.deepEqual(logged, [
    'smtp: proxy event=closed address=127.0.0.1 reason="it has no signature"',
  ]);
  assert.equal(server.service.size, 0);
});

Deno.test("a proxy that looks again and again whether somebody is there leaves one line in ten minutes", async () => {
  await using server = await new Server({ proxyV2: true }).listen();
  const texts = () => server.events.map((event) => event.type === "log" ? event.text : event.type);
  const line = 'smtp: proxy event=closed address=127.0.0.1 reason="the connection ended, without any data"';
  let looks = 0;
  const look = async () => {
    (await dial(server)).socket.end();
    await server.endings(++looks);
  };
  await look();
  assert.deepEqual(texts(), [line]);
  await look();
  await look();
  assert.deepEqual(texts(), [line]);
  server.later = 600_000;
  await look();
  assert.deepEqual(texts(), [line, `${line} more=2`]);
});

Deno.test("a PROXY header that does not come in time ends the connection", async () => {
  await using server = await new Server({ proxyV2: true }).listen();
  const client = await dial(server);
  client.say("PROXY ");
  // What is sent has arrived when the server has a timer for it.
  await server.clockStarted;
  await new Promise((resolve) => setTimeout(resolve, 50));
  server.later = 31_000;
  assert.equal(await client.closed(), "");
  await server.ended;
  assert.match(JSON.stringify(server.events), /it did not come in time/);
});

Deno.test("each client behind a proxy has its own limit", async () => {
  await using server = await new Server({ proxyV2: true }, { maxSessionsPerSource: 1 }).listen();
  const first = await dial(server);
  first.say(PROXIED);
  await first.receives(/^220 /);
  const second = await dial(server);
  second.say(PROXIED_2);
  assert.match(await second.closed(), /^421 4\.7\.0 Too many connections from your address, [^\r]+\r\n$/);
  const refused = server.events.filter((event) =>
    event.type === "log" &&
    / smtp failed-command command="" result="421 4\.7\.0 [^"]+" address=192\.0\.2\.77$/.test(event.text)
  );
  assert.equal(refused.length, 1, "the log has who was turned away");
  const other = await dial(server);
  other.say(PROXIED.replace("2.77", "2.78"));
  await other.receives(/^220 /);
  for (const one of [first, other]) one.say("QUIT\r\n");
  for (const one of [first, other]) await one.closed();
});

Deno.test("a client that speaks before a delayed banner gets 554, one that waits is greeted", async () => {
  // Who it is comes from the header: the delay is not for this machine.
  await using server = await new Server({ proxyV2: true }, { bannerDelayMs: 200 }).listen();
  const hasty = await dial(server);
  hasty.say(`${PROXIED}EHLO a.example\r\n`);
  const patient = await dial(server);
  patient.say(PROXIED_2);
  assert.match(await hasty.closed(), /^554 5\.7\.1 [^\r]+\r\n$/);
  await patient.receives(/^220 /);
  patient.say("EHLO a.example\r\n");
  await patient.receives(/^250-[^]*\r\n250 HELP\r\n$/);
  patient.say("QUIT\r\n");
  await patient.closed();
});
