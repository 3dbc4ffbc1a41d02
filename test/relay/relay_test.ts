/** Mail through the relay isolate's doors to scripted servers on loopback. */

import assert from "node:assert/strict";
import { NOTIFY } from "../../src/envelope/mod.ts";
import { type FakeServer, fakeServer, type Script, until } from "../smtpclient/fake_server.ts";
import { relayWorld, type World, type WorldOptions } from "./world.ts";

const tlsFiles = {
  key: Deno.readTextFileSync(new URL("../smtpclient/fixtures/key.pem", import.meta.url)),
  cert: Deno.readTextFileSync(new URL("../smtpclient/fixtures/cert.pem", import.meta.url)),
};

/** A smarthost with this script, and a house that sends everything there. */
async function viaSmarthost(
  script: Script,
  act: (world: World, server: FakeServer) => Promise<void>,
  options: WorldOptions & { scheme?: string } = {},
): Promise<void> {
  const server = await fakeServer(script);
  const world = relayWorld({
    actions: { out: { host: "hosts" } },
    addresses: { "mx.example.net": ["127.0.0.1"] },
    smarthost: () => `${options.scheme ?? "smtp"}://mx.example.net:${server.port}`,
    ...options,
  });
  try {
    await act(world, server);
  } finally {
    await world.stop();
    await server.close();
  }
}

/** Servers at 127.0.0.1, 127.0.0.2, … on one port; the domain `x.test` has them as MX of the given preferences (null: nobody listens). */
async function viaMx(
  hosts: readonly { preference: number; script: Script | null }[],
  act: (world: World, servers: (FakeServer | null)[]) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const servers: (FakeServer | null)[] = [];
  const first = await fakeServer({ host: "127.0.0.99" });
  await first.close();
  for (const [at, { script }] of hosts.entries()) {
    servers.push(script === null ? null : await fakeServer({ ...script, host: `127.0.0.${at + 1}`, port: first.port }));
  }
  const world = relayWorld({
    mx: { "x.test": hosts.map(({ preference }, at) => [preference, `mx${at + 1}.test`] as [number, string]) },
    addresses: Object.fromEntries(hosts.map((_, at) => [`mx${at + 1}.test`, [`127.0.0.${at + 1}`]])),
    ...options,
    tools: { mxPort: first.port, ...options.tools },
  });
  try {
    await act(world, servers);
  } finally {
    await world.stop();
    for (const server of servers) await server?.close();
  }
}

Deno.test("a message to three recipients goes in one transaction; 450 on one keeps that one alone", () =>
  viaSmarthost(
    { keywords: ["PIPELINING"], reply: (line) => line.includes("<b@") ? "450 4.2.1 mailbox busy" : undefined },
    async (world, server) => {
      const ids = world.send({ rcpts: ["a@x.test", "b@x.test", "c@x.test"] });
      assert.deepEqual(await world.settled(ids), [
        "ok 250 2.0.0 queued",
        "tempfail 450 4.2.1 mailbox busy",
        "ok 250 2.0.0 queued",
      ]);
      assert.equal(server.messages().length, 1);
      assert.equal(server.lines().filter((line) => line.startsWith("MAIL")).length, 1);
      assert.deepEqual(world.outcomes.get(ids[1]!), {
        result: "tempfail",
        text: "450 4.2.1 mailbox busy",
        status: { class: 4, code: "2.1" },
      });
    },
  ));

Deno.test("the log tells connecting, connected and each delivery", () =>
  viaSmarthost({}, async (world, server) => {
    const [id] = world.send({ rcpts: ["a@x.test"], sender: null });
    await world.settled([id!]);
    const [event] = world.deliveries();
    assert.deepEqual({ ...event, delayMs: 0, session: "" }, {
      type: "delivery",
      agent: "mta",
      session: "",
      envelope: id,
      from: null,
      to: { local: "a", domain: "x.test" },
      rcpt: { local: "a", domain: "x.test" },
      delayMs: 0,
      outcome: "ok",
      stat: "250 2.0.0 queued",
      source: "127.0.0.1",
      relay: "127.0.0.1 (ptr.example.net)",
    });
    assert.deepEqual(world.events.slice(0, 2), [
      {
        type: "mta-connecting",
        session: event!.session,
        address: `smtp://127.0.0.1:${server.port}`,
        host: "ptr.example.net",
      },
      { type: "mta-connected", session: event!.session },
    ]);
  }));

Deno.test("three messages of one domain: one connection, three transactions", () =>
  viaMx([{ preference: 10, script: {} }], async (world, [server]) => {
    const ids = [1, 2, 3].flatMap(() => world.send({ rcpts: ["a@x.test"] }));
    await world.settled(ids);
    assert.equal(server!.sessions.length, 1);
    assert.equal(server!.messages().length, 3);
    assert.equal(server!.lines().filter((line) => line.startsWith("EHLO")).length, 1);
  }));

Deno.test("two equal exchangers, one refuses connections: mail goes by the other, the route rests for 15 s", () =>
  viaMx([{ preference: 10, script: null }, { preference: 10, script: {} }], async (world, [, server]) => {
    const ids = world.send({ rcpts: ["a@x.test"] });
    assert.deepEqual(await world.settled(ids), ["ok 250 2.0.0 queued"]);
    assert.equal(server!.messages().length, 1);
    assert.ok(world.log().includes("smtp-out: Disabling route [] <-> 127.0.0.1 (ptr.example.net) for 15s"));
    assert.ok(world.events.some((event) => event.type === "mta-error" && event.reason === "Connection refused"));
    assert.match(
      (await world.show("routes"))[0]!,
      /^1\. \[\] <-> 127\.0\.0\.1 \(ptr\.example\.net\) NDQ- nconn=0 nerror=1 penalty=1 timeout=1[45]s$/,
    );
    const [id] = await world.resume(1).then(() => world.send({ rcpts: ["b@x.test"] }));
    await world.settled([id!]);
    assert.ok(world.log().some((line) => line.endsWith("per admin request")));
  }, { limits: { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } }));

Deno.test("the preferred exchanger is tried before the other", () =>
  viaMx([{ preference: 20, script: {} }, { preference: 10, script: {} }], async (world, [other, preferred]) => {
    // Names come sorted from the resolver.
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.equal(preferred!.messages().length, 1);
    assert.equal(other!.sessions.length, 0);
  }, { mx: { "x.test": [[10, "mx2.test"], [20, "mx1.test"]] } }));

Deno.test("no exchanger can be reached: all tasks fail for now, with one text", () =>
  viaMx(
    [{ preference: 10, script: null }, { preference: 20, script: { banner: "554 5.7.1 go away" } }],
    async (world) => {
      const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
      assert.deepEqual(await world.settled(ids), [
        "tempfail Network error on destination MXs",
        "tempfail Network error on destination MXs",
      ]);
      assert.ok(world.events.some((event) => event.type === "mta-error" && event.reason === "554 5.7.1 go away"));
      assert.equal(world.deliveries()[0]!.relay, "x.test");
      assert.deepEqual(await world.show("relays"), []);
    },
    { limits: { connDelayRelay: 0 } },
  ));

const dns = [
  { mx: [[0, ""]] as [number, string][], want: "permfail Domain does not accept mail", because: "a null MX" },
  { mx: "nxdomain", want: "permfail Domain does not exist", because: "no such domain" },
  { mx: "temporary", want: "tempfail Temporary failure in MX lookup", because: "a silent server" },
] as const;
for (const { mx, want, because } of dns) {
  Deno.test(`mail to a domain with ${because}: ${want}`, async () => {
    const world = relayWorld({ mx: { "x.test": mx } });
    const ids = world.send({ rcpts: ["a@x.test"] });
    assert.deepEqual(await world.settled(ids), [want]);
    const outcome = world.outcomes.get(ids[0]!)!;
    if (outcome.result === "permfail") assert.deepEqual(outcome.status, { class: 5, code: "0.0" });
    assert.ok(world.log().some((line) => line.startsWith("smtp-out: Failed to resolve MX for [relay:x.test,")));
    await world.stop();
  });
}

Deno.test("an address literal is used as it is", async () => {
  const server = await fakeServer();
  const world = relayWorld({ tools: { mxPort: server.port } });
  assert.deepEqual(await world.settled(world.send({ rcpts: ["a@[127.0.0.1]"] })), ["ok 250 2.0.0 queued"]);
  assert.equal(server.lines()[2], "RCPT TO:<a@[127.0.0.1]>");
  await world.stop();
  await server.close();
});

// ── TLS ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const tlsCases = [
  { scheme: "smtp", script: { keywords: ["STARTTLS"], tls: tlsFiles }, want: "ok", secure: true, because: "offered" },
  { scheme: "smtp", script: {}, want: "ok", secure: false, because: "not offered" },
  {
    scheme: "smtp",
    script: { keywords: ["STARTTLS"], breakTls: true },
    want: "ok",
    secure: false,
    because: "the handshake fails: once more in clear",
  },
  {
    scheme: "smtp",
    script: { keywords: ["STARTTLS"], reply: (line: string) => line === "STARTTLS" ? "454 4.7.0 no" : undefined },
    want: "ok",
    secure: false,
    because: "refused: in clear",
  },
  {
    scheme: "smtp+notls",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: false,
    because: "not wanted",
  },
  {
    scheme: "smtp+tls",
    script: { keywords: ["STARTTLS"], breakTls: true },
    want: "tempfail",
    because: "the handshake fails",
  },
  { scheme: "smtp+tls", script: {}, want: "tempfail", because: "not offered" },
  { scheme: "smtp+tls", script: { keywords: ["STARTTLS"], tls: tlsFiles }, want: "tempfail", because: "self-signed" },
  { scheme: "smtps", script: { smtps: true, tls: tlsFiles }, want: "tempfail", because: "self-signed" },
  {
    scheme: "smtp+tls",
    tls: "no-verify",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "self-signed, but nobody looks",
  },
  {
    scheme: "smtps",
    tls: "no-verify",
    script: { smtps: true, tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "self-signed, but nobody looks",
  },
  {
    scheme: "smtp+tls",
    ca: "own",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "signed by the action's CA",
  },
  {
    scheme: "smtp",
    tls: "verify",
    ca: "own",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "signed by the action's CA",
  },
  {
    scheme: "smtp",
    tls: "verify",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "tempfail",
    because: "self-signed",
  },
] as const;
for (const row of tlsCases) {
  const { scheme, script, want, because } = row;
  const tls = "tls" in row ? row.tls : null, ca = "ca" in row ? row.ca : null;
  Deno.test(`${scheme} with tls ${tls}${ca === null ? "" : " and ca"}: ${want}, for STARTTLS is ${because}`, () =>
    viaSmarthost(script, async (world, server) => {
      const [result] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.equal(result!.split(" ")[0], want);
      assert.equal(server.messages().length, want === "ok" ? 1 : 0);
      if (want === "ok") {
        assert.equal(server.sessions.at(-1)!.secure, "secure" in row && row.secure);
        assert.equal(world.events.some((event) => event.type === "mta-tls"), server.sessions.at(-1)!.secure);
      }
      const check = world.events.find((event) => event.type === "mta-cert-check");
      if (ca !== null) assert.equal(check?.result, "valid");
      else if (check !== undefined) assert.equal(check.result, "unverified");
    }, { scheme, actions: { out: { host: "hosts", tls, ca } }, ca: { own: tlsFiles.cert } }));
}

// ── replies ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const on = (verb: string, reply: string | null): Script => ({
  reply: (line) => line.startsWith(verb) ? reply : undefined,
});
const results: { name: string; script: Script; want: string }[] = [
  { name: "MAIL 451", script: on("MAIL", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "MAIL 550", script: on("MAIL", "550 5.7.1 no"), want: "permfail 550 5.7.1 no" },
  { name: "RCPT 451", script: on("RCPT", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "RCPT 550", script: on("RCPT", "550 5.1.1 no"), want: "permfail 550 5.1.1 no" },
  { name: "RCPT 300", script: on("RCPT", "300 odd"), want: "tempfail 300 odd" },
  { name: "DATA 451", script: on("DATA", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "DATA 554", script: on("DATA", "554 5.5.1 no"), want: "permfail 554 5.5.1 no" },
  { name: "DATA 250", script: on("DATA", "250 what"), want: "tempfail 250 what" },
  { name: "end of data 451", script: { dataReply: () => "451 4.3.0 no" }, want: "tempfail 451 4.3.0 no" },
  { name: "end of data 554", script: { dataReply: () => "554 5.7.1 no" }, want: "permfail 554 5.7.1 no" },
  { name: "end of data 354", script: { dataReply: () => "354 more?" }, want: "tempfail 354 more?" },
  {
    name: "a reply of several lines",
    script: on("RCPT", "550-5.1.1 no\r\n550 5.1.1 such user"),
    want: "permfail 550 5.1.1 no such user",
  },
  { name: "421 at MAIL", script: on("MAIL", "421 4.3.2 bye"), want: "tempfail 421 4.3.2 bye" },
  { name: "421 at RCPT", script: on("RCPT", "421 4.3.2 bye"), want: "tempfail 421 4.3.2 bye" },
  { name: "421 at the end of data", script: { dataReply: () => "421 4.3.2 bye" }, want: "tempfail 421 4.3.2 bye" },
  { name: "a hang-up at RCPT", script: on("RCPT", null), want: "tempfail Connection closed unexpectedly" },
  {
    name: "a hang-up at the end of data",
    script: { dataReply: () => null },
    want: "tempfail Connection closed unexpectedly",
  },
  {
    name: "silence at RCPT",
    script: { reply: (line) => /^(RCPT|DATA)/.test(line) ? "" : undefined },
    want: "tempfail Connection timeout",
  },
  { name: "nonsense at RCPT", script: on("RCPT", "hello"), want: "tempfail Invalid reply code" },
];
for (const { name, script, want } of results) {
  for (const keywords of [[], ["PIPELINING"]]) {
    Deno.test(`${name}${keywords.length > 0 ? " with PIPELINING" : ""}: ${want}`, () =>
      viaSmarthost({ ...script, keywords }, async (world) => {
        assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [want]);
      }, { tools: { timeoutMs: 300 } }));
  }
}

Deno.test("all recipients refused: no data, RSET, and the next message goes on the same session", () =>
  viaSmarthost({ reply: (line) => line.includes("<no@") ? "550 5.1.1 no" : undefined }, async (world, server) => {
    const ids = [...world.send({ rcpts: ["no@x.test"] }), ...world.send({ rcpts: ["a@x.test"] })];
    assert.deepEqual(await world.settled(ids), ["permfail 550 5.1.1 no", "ok 250 2.0.0 queued"]);
    assert.equal(server.sessions.length, 1);
    assert.deepEqual(server.lines().map((line) => line.split(" ")[0]), [
      "EHLO",
      "MAIL",
      "RCPT",
      "RSET",
      "MAIL",
      "RCPT",
      "DATA",
    ]);
  }));

Deno.test("SIZE smaller than the message: permanent failure without a transaction", () =>
  viaSmarthost({ keywords: ["SIZE 5"] }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["permfail message too large for peer"]);
    assert.deepEqual(server.lines(), ["EHLO relay.example.org"]);
  }));

Deno.test("EHLO refused: HELO, with the action's name", () =>
  viaSmarthost(on("EHLO", "500 5.5.1 what"), async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.deepEqual(server.lines().slice(0, 2), ["EHLO other.example.org", "HELO other.example.org"]);
  }, { actions: { out: { host: "hosts", helo: "other.example.org" } } }));

Deno.test("DSN parameters go along when offered, and the duty with them", () =>
  viaSmarthost({ keywords: ["DSN"] }, async (world, server) => {
    const dsn = { notify: NOTIFY.SUCCESS, ret: "FULL", envid: "e1", orcpt: "rfc822;a@x.test" } as const;
    const [id] = world.send({ rcpts: ["a@x.test"], dsn });
    await world.settled([id!]);
    assert.deepEqual(world.outcomes.get(id!), { result: "ok", text: "250 2.0.0 queued", dsnRelayed: true });
    assert.deepEqual(server.lines().slice(1, 3), [
      "MAIL FROM:<s@example.org> RET=FULL ENVID=e1",
      "RCPT TO:<a@x.test> NOTIFY=SUCCESS ORCPT=rfc822;a@x.test",
    ]);
  }));

Deno.test("mail-from replaces the sender", () =>
  viaSmarthost({}, async (world, server) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.equal(server.lines()[1], "MAIL FROM:<s@new.example.org>");
  }, { actions: { out: { host: "hosts", mailFrom: "@new.example.org" } } }));

Deno.test("an lmtp smarthost settles each recipient by its own reply", () =>
  viaSmarthost({ lmtp: true, dataReply: () => "250 2.0.0 stored\r\n452 4.2.2 full" }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test", "b@x.test"] })), [
      "ok 250 2.0.0 stored",
      "tempfail 452 4.2.2 full",
    ]);
    assert.equal(server.lines()[0], "LHLO relay.example.org");
  }, { scheme: "lmtp" }));

// ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("session-mail-max ends a session; its successor follows at once", () =>
  viaSmarthost({}, async (world, server) => {
    const ids = Array.from({ length: 7 }, () => world.send({ rcpts: ["a@x.test"] })).flat();
    await world.settled(ids);
    assert.deepEqual(server.sessions.map((session) => session.messages.length), [3, 3, 1]);
    assert.ok(server.sessions.slice(0, 2).every((session) => session.lines.at(-1) === "QUIT"));
  }, { limits: { sessionMailMax: 3 } }));

Deno.test("an idle session stays for session-keepalive, takes what comes, then quits", () =>
  viaSmarthost({}, async (world, server) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.equal(server.lines().at(-1), "DATA");
    await world.settled(world.send({ rcpts: ["b@x.test"] }));
    assert.equal(server.sessions.length, 1);
    await until(() => server.lines().at(-1) === "QUIT", "QUIT after the wait");
    await until(
      () => world.events.some((event) => event.type === "mta-disconnected" && event.messages === 2),
      "its event",
    );
    assert.deepEqual(await world.show("relays"), []);
  }, { limits: { sessionKeepalive: 0.05 } }));

Deno.test("a server that left while the session was idle costs nothing: the message goes by a new connection", async () => {
  let count = 0;
  await viaSmarthost({
    reply: (line) => line.startsWith("MAIL") && ++count === 2 ? null : undefined,
  }, async (world, server) => {
    const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
    assert.deepEqual(await world.settled(ids), ["ok 250 2.0.0 queued", "ok 250 2.0.0 queued"]);
    assert.equal(server.sessions.length, 2);
  }, { limits: { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } });
});

Deno.test("a message that comes while an idle session says goodbye goes by the next connection", () =>
  viaSmarthost({ reply: (line) => line === "QUIT" ? "" : undefined }, async (world, server) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    await until(() => server.lines().at(-1) === "QUIT", "QUIT");
    const ids = world.send({ rcpts: ["b@x.test"] });
    server.sessions[0]!.hangUp();
    assert.deepEqual(await world.settled(ids), ["ok 250 2.0.0 queued"]);
    assert.equal(server.sessions.length, 2);
  }, { limits: { sessionKeepalive: 0.02, connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } }));

Deno.test("a server that leaves an idle session is noticed at once, without a penalty", () =>
  viaSmarthost({}, async (world, server) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    server.sessions[0]!.hangUp();
    await until(() => world.events.some((event) => event.type === "mta-disconnected"), "the end");
    assert.match((await world.show("routes"))[0]!, / ---- nconn=0 nerror=0 penalty=0 /);
    assert.deepEqual(await world.settled(world.send({ rcpts: ["b@x.test"] })), ["ok 250 2.0.0 queued"]);
  }, { limits: { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } }));

Deno.test("a server that always hangs up at MAIL fails the message for now", () =>
  viaSmarthost(on("MAIL", null), async (world) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [
      "tempfail Connection closed unexpectedly",
    ]);
  }));

Deno.test("ten transactions in a row without success: the host is left alone", () =>
  viaSmarthost(on("MAIL", "451 4.3.0 no"), async (world, server) => {
    const ids = Array.from({ length: 12 }, () => world.send({ rcpts: ["a@x.test"] })).flat();
    const texts = await world.settled(ids);
    assert.equal(texts.filter((text) => text === "tempfail 451 4.3.0 no").length, 10);
    assert.equal(texts.filter((text) => text === "tempfail Destination seems to reject all mails").length, 2);
    assert.ok(world.log().some((line) => line.endsWith(" mta host-rejects-all-mails")));
    assert.equal(server.lines().at(-1), "QUIT");
  }, { limits: { maxConnPerRoute: 1 } }));

Deno.test("max-failures-per-session: refused recipients in a row end the session, the rest is tried later", () =>
  viaSmarthost({ ...on("RCPT", "550 5.1.1 no"), keywords: ["PIPELINING"] }, async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: Array.from({ length: 30 }, (_, at) => `u${at}@x.test`) }));
    assert.equal(texts.filter((text) => text.startsWith("permfail")).length, 25);
    assert.equal(texts.filter((text) => text.startsWith("tempfail")).length, 5);
    await until(() => server.lines().at(-1) === "QUIT", "QUIT");
  }));

Deno.test("more than 100 recipients go in several transactions", () =>
  viaSmarthost({ keywords: ["PIPELINING"] }, async (world, server) => {
    await world.settled(world.send({ rcpts: Array.from({ length: 250 }, (_, at) => `u${at}@x.test`) }));
    assert.equal(server.messages().length, 3);
    assert.equal(server.lines().filter((line) => line.startsWith("RCPT")).length, 250);
  }));

Deno.test("smarthosts of a list take turns", async () => {
  const servers = [await fakeServer({ host: "127.0.0.1" }), await fakeServer({ host: "127.0.0.2" })];
  let turn = 0;
  const world = relayWorld({
    actions: { out: { host: "hosts" } },
    smarthost: () => `[127.0.0.${turn % 2 + 1}]:${servers[turn++ % 2]!.port}`,
  });
  await world.settled([1, 2, 3, 4].flatMap((at) => world.send({ rcpts: [`u${at}@x.test`] })));
  assert.deepEqual(servers.map((server) => server.messages().length), [2, 2]);
  await world.stop();
  for (const server of servers) await server.close();
});

for (
  const [url, want] of [
    [null, "cannot retrieve smarthost"],
    ["nonsense://x", "cannot retrieve smarthost"],
    ["smtps://label@x", "No auth table"],
    ["smtp://nowhere.test", "Host not found"],
  ] as const
) {
  Deno.test(`the smarthost ${url}: tempfail ${want}`, async () => {
    const world = relayWorld({ actions: { out: { host: "hosts" } }, smarthost: () => url });
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [`tempfail ${want}`]);
    await world.stop();
  });
}

// ── the house ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("an envelope that is here already is not taken again, one that is done is told again", () =>
  viaSmarthost({}, async (world, server) => {
    const [id] = world.send({ rcpts: ["a@x.test"] });
    const again = { type: "job", message: id!.slice(0, 8), action: "out", key: "x.test", ids: [id!] } as const;
    world.job(again);
    await world.settled([id!]);
    world.outcomes.clear();
    world.job(again);
    await world.settled([id!]);
    assert.equal(server.messages().length, 1);
  }));

Deno.test("an envelope that was removed while it waited is not sent", () =>
  viaSmarthost({}, async (world, server) => {
    const ids = world.send({ rcpts: ["a@x.test", "b@x.test"] });
    world.remove(ids[0]!);
    await world.settled([ids[1]!]);
    assert.deepEqual(server.lines().filter((line) => line.startsWith("RCPT")), ["RCPT TO:<b@x.test>"]);
  }));

Deno.test("a new scheduler hands out what waited: it is sent once", () =>
  viaSmarthost({}, async (world, server) => {
    const [id] = world.send({ rcpts: ["a@x.test"] });
    world.restartScheduler();
    world.job({ type: "job", message: id!.slice(0, 8), action: "out", key: "x.test", ids: [id!] });
    await world.settled([id!]);
    assert.equal(server.messages().length, 1);
  }));

Deno.test("a message that the queue cannot read is tried later", async () => {
  const server = await fakeServer();
  const world = relayWorld({ tools: { mxPort: server.port } });
  world.job({ type: "job", message: "000000ff", action: "out", key: "[127.0.0.1]", ids: ["000000ff00000001"] });
  assert.deepEqual(await world.settled(["000000ff00000001"]), ["tempfail No such message"]);
  await world.stop();
  await server.close();
});

Deno.test("an action that is not known is tried later", async () => {
  const world = relayWorld();
  const [id] = world.send({ rcpts: ["a@x.test"], action: "gone" });
  assert.deepEqual(await world.settled([id!]), ['tempfail Action "gone" is not known']);
  await world.stop();
});

Deno.test("show hosts, relays, routes and hoststats while a message is on its way", () => {
  let finish: (() => void) | null = null;
  return viaSmarthost({
    reply: (line) => line.startsWith("RCPT") ? "" : undefined,
  }, async (world, server) => {
    world.send({ rcpts: ["a@x.test"] });
    world.send({ rcpts: ["b@x.test"] });
    await until(() => server.lines().some((line) => line.startsWith("RCPT")), "the first RCPT");
    finish?.();
    const port = server.port;
    assert.match(
      (await world.show("hosts")).join("\n"),
      /^127\.0\.0\.1 ptr\.example\.net refcount=2 nconn=1 lastconn=\d+s$/,
    );
    assert.match(
      (await world.show("routes")).join("\n"),
      /^1\. \[\] <-> 127\.0\.0\.1 \(ptr\.example\.net\) ---- nconn=1 nerror=0 penalty=0 timeout=-$/,
    );
    const [relay, connector] = await world.show("relays");
    assert.match(
      relay!,
      new RegExp(
        `^\\[relay:mx\\.example\\.net,smtp,port=${port}\\] refcount=2 ntask=1 nconn=1 lastconn=\\d+s timeout=(-|\\ds) wait=-$`,
      ),
    );
    assert.match(connector!, /^ {2}connector \[\] refcount=1 nconn=1 lastconn=\d+s timeout=(-|\ds) flags=-$/);
    finish = null;
  }, { tools: { timeoutMs: 500 } });
});

Deno.test("show hoststats tells the last status of each destination", () =>
  viaSmarthost({}, async (world) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.match((await world.show("hoststats")).join("\n"), /^mx\.example\.net\|\d+\|250 2\.0\.0 queued$/);
  }));

Deno.test("stop lets the transaction that runs come to its end and drops what waits", () => {
  let release: (() => void) | null = null;
  return viaSmarthost(
    { dataReply: (session) => (release = () => session.messages.push("released"), "") },
    async (world, server) => {
      const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
      await until(() => release !== null, "the data");
      const stopped = world.stop();
      const [first] = await world.settled([ids[0]!]);
      assert.match(first!, /^tempfail Connection timeout$/);
      await stopped;
      assert.equal(world.outcomes.has(ids[1]!), false);
      assert.equal(server.sessions.length, 1);
    },
    { tools: { timeoutMs: 300 } },
  );
});
