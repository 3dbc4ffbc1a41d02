/** A host that ends the session before it has decided about a message: the next exchanger is asked at once, and nobody has the message twice. */

import assert from "node:assert/strict";
import { type FakeServer, fakeServer, type Script, type ServerSession } from "../smtp_client/fake_server.ts";
import { viaMx, viaSmarthost } from "./via.ts";
import { relayWorld, type World } from "./world.ts";

const NO_WAIT = { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0, connDelayHost: 0 };
const BUSY = "421 4.3.2 busy";
const on = (verb: string, reply: (session: ServerSession) => string | null): Script => ({
  reply: (line, session) => line.startsWith(verb) ? reply(session) : undefined,
});
const andClose = (session: ServerSession, reply: string) => (queueMicrotask(() => session.hangUp()), reply);

const undecided: { name: string; script: Script }[] = [
  { name: "421 for a greeting", script: { banner: BUSY } },
  ...["EHLO", "MAIL", "RCPT", "DATA"].flatMap((verb) => [
    { name: `421 to ${verb}`, script: on(verb, () => BUSY) },
    { name: `421 to ${verb}, closing`, script: on(verb, (session) => andClose(session, BUSY)) },
    { name: `closing at ${verb}`, script: on(verb, () => null) },
    { name: `nonsense to ${verb}`, script: on(verb, () => "what?") },
  ]),
  { name: "421 to the data", script: { dataReply: () => BUSY } },
  { name: "421 to the data, closing", script: { dataReply: (session) => andClose(session, BUSY) } },
];
for (const { name, script } of undecided) {
  for (const keywords of [[], ["PIPELINING"]]) {
    Deno.test(`${name}${keywords.length > 0 ? ", with PIPELINING" : ""}: the next exchanger has it at once`, () =>
      viaMx(
        [{ preference: 10, script: { ...script, keywords } }, { preference: 20, script: {} }],
        async (world, [a, b]) => {
          const ids = world.send({ rcpts: ["a@x.test", "b@x.test"] });
          assert.deepEqual(await world.settled(ids), Array(2).fill("ok 250 2.0.0 queued"));
          assert.deepEqual([a!.sessions.length, b!.sessions.length, b!.messages().length], [1, 1, 1]);
          assert.equal(world.deliveries().length, 2);
        },
        { limits: NO_WAIT },
      ));
  }
}

Deno.test("an exchanger that says nothing any more is left when its time is over", () =>
  viaMx(
    [{ preference: 10, script: on("RCPT", () => "") }, { preference: 20, script: {} }],
    async (world, [, second]) => {
      await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.equal(second!.messages().length, 1);
    },
    { limits: NO_WAIT, timeoutMs: 200 },
  ));

for (
  const { name, script } of [
    { name: "behind the data", script: { dataReply: () => null } },
    { name: "behind 354", script: on("DATA", (session) => andClose(session, "354 go on")) },
  ]
) {
  Deno.test(`an exchanger that closes ${name} may have the message: nobody else gets it now`, () =>
    viaMx([{ preference: 10, script }, { preference: 20, script: {} }], async (world, [, second]) => {
      const [result] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.match(result!, /^tempfail Connection (closed unexpectedly|reset by peer)$/);
      assert.equal(second!.sessions.length, 0);
    }, { limits: NO_WAIT }));
}

Deno.test("an exchanger that closes behind its 250 has the message", () =>
  viaMx([
    { preference: 10, script: { dataReply: (session) => andClose(session, "250 2.0.0 queued") } },
    { preference: 20, script: {} },
  ], async (world, [, second]) => {
    const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
    assert.deepEqual(await world.settled(ids), Array(2).fill("ok 250 2.0.0 queued"));
    assert.equal(second!.sessions.length, 0);
  }, { limits: NO_WAIT }));

for (const keywords of [[], ["PIPELINING"]]) {
  Deno.test(`what was answered stands, the others go on${keywords.length > 0 ? ", with PIPELINING" : ""}`, () => {
    const reply = (line: string, session: ServerSession) => {
      // It has hung up, and reads no more.
      if (session.lines.some((before) => before.includes("<c@") && before !== line)) return "";
      return line.includes("<b@") ? "550 5.1.1 no" : line.includes("<c@") ? andClose(session, BUSY) : undefined;
    };
    return viaMx(
      [{ preference: 10, script: { reply, keywords } }, { preference: 20, script: {} }],
      async (world, [, b]) => {
        const ids = world.send({ rcpts: ["a@x.test", "b@x.test", "c@x.test", "d@x.test"] });
        const [first, second, ...rest] = await world.settled(ids);
        assert.equal(second, "permfail 550 5.1.1 no");
        assert.deepEqual([first, ...rest], Array(3).fill("ok 250 2.0.0 queued"));
        assert.deepEqual(b!.lines().filter((line) => line.startsWith("RCPT")), [
          "RCPT TO:<a@x.test>",
          "RCPT TO:<c@x.test>",
          "RCPT TO:<d@x.test>",
        ]);
      },
      { limits: NO_WAIT },
    );
  });
}

Deno.test("those who were too many go on with those who were not decided about", () => {
  const reply = (line: string, session: ServerSession) =>
    line.startsWith("RCPT") && session.accepted >= 2 ? "452 4.5.3 too many" : line === "DATA" ? BUSY : undefined;
  return viaMx([{ preference: 10, script: { reply } }, { preference: 20, script: {} }], async (world, [, second]) => {
    const texts = await world.settled(world.send({ rcpts: ["a@x.test", "b@x.test", "c@x.test", "d@x.test"] }));
    assert.deepEqual(texts, Array(4).fill("ok 250 2.0.0 queued"));
    assert.equal(second!.messages().length, 1);
  }, { limits: NO_WAIT });
});

Deno.test("LMTP: a recipient that was answered 421 behind the data goes on, those before and behind it do not", () =>
  viaSmarthost({
    lmtp: true,
    dataReply: (session) =>
      session.accepted === 1 ? "250 2.0.0 again" : `250 2.0.0 stored\r\n${BUSY}\r\n452 4.2.2 full`,
  }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test", "b@x.test", "c@x.test"] })), [
      "ok 250 2.0.0 stored",
      "ok 250 2.0.0 again",
      "tempfail 452 4.2.2 full",
    ]);
    assert.deepEqual(server.lines().filter((line) => line.startsWith("RCPT")).at(-1), "RCPT TO:<b@x.test>");
  }, { scheme: "lmtp", limits: NO_WAIT }));

Deno.test("no exchanger decides: each of five is asked once, and the words of one of them are the reason", () =>
  viaMx(
    Array.from({ length: 7 }, (_, at) => ({ preference: at, script: on("MAIL", () => `421 4.3.2 busy ${at}`) })),
    async (world, servers) => {
      const [result] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.match(result!, /^tempfail 421 4\.3\.2 busy \d$/);
      assert.deepEqual(servers.map((server) => server!.sessions.length), [1, 1, 1, 1, 1, 0, 0]);
    },
    { limits: NO_WAIT },
  ));

Deno.test("421 with an exchanger that is down: not now, in the words of the one that spoke", () =>
  viaMx([{ preference: 10, script: on("MAIL", () => BUSY) }, { preference: 20, script: null }], async (world) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [`tempfail ${BUSY}`]);
  }, { limits: NO_WAIT }));

Deno.test("a host that ends each session after two messages gets the others by the next connection", () => {
  const script = on("MAIL", (session) => session.messages.length < 2 ? "250 ok" : andClose(session, BUSY));
  return viaMx([{ preference: 10, script }, { preference: 20, script: {} }], async (world, [first, second]) => {
    const ids = Array.from({ length: 7 }, () => world.send({ rcpts: ["a@x.test"] })).flat();
    assert.deepEqual(await world.settled(ids), Array(7).fill("ok 250 2.0.0 queued"));
    assert.equal(first!.messages().length, 7);
    assert.equal(second!.sessions.length, 0);
    assert.ok(!world.log().some((line) => line.includes("Disabling route")));
  }, { limits: { ...NO_WAIT, maxConnPerRoute: 1 } });
});

Deno.test("a host that ends every session over its first message is left alone after five", () =>
  viaMx(
    [{ preference: 10, script: on("MAIL", () => BUSY) }, { preference: 20, script: {} }],
    async (world, [first, second]) => {
      for (let count = 0; count < 8; count++) await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.equal(first!.sessions.length, 5);
      assert.equal(second!.messages().length, 8);
      assert.ok(world.log().some((line) => line.startsWith("smtp-out: Disabling route [] <-> 127.0.0.1")));
    },
    { limits: NO_WAIT },
  ));

Deno.test("the next smarthost of a list is asked when one ends the session", async () => {
  const servers = [
    await fakeServer({ ...on("MAIL", () => BUSY), host: "127.0.0.1" }),
    await fakeServer({ host: "127.0.0.2" }),
  ];
  const urls = servers.map(({ port }, at) => `[127.0.0.${at + 1}]:${port}`);
  await viaList(urls, servers, async (world) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.deepEqual(servers.map((server) => server.sessions.length), [1, 1]);
  });
});

async function viaList(urls: string[], servers: FakeServer[], act: (world: World) => Promise<void>): Promise<void> {
  const world = relayWorld({
    actions: { out: { host: "hosts" } },
    smarthost: () => urls[0]!,
    otherSmarthosts: urls.slice(1),
    limits: NO_WAIT,
  });
  try {
    await act(world);
  } finally {
    await world.stop();
    for (const server of servers) await server.close();
  }
}
