/** Sessions over time: reuse, idling, ends; and what other isolates see: doors, `show`, stop. */

import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/clock.ts";
import { messageOf } from "../../src/envelope/mod.ts";
import { fakeServer, type Script, until } from "../smtp_client/fake_server.ts";
import { viaMx, viaSmarthost } from "./via.ts";
import { relayWorld } from "./world.ts";
import { evpid, msgid } from "../ids.ts";

const on = (verb: string, reply: string | null): Script => ({
  reply: (line) => line.startsWith(verb) ? reply : undefined,
});

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
      () => world.events.some((event) => event.type === "relay-disconnected" && event.messages === 2),
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
    await until(() => world.events.some((event) => event.type === "relay-disconnected"), "the end");
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
    assert.deepEqual(texts.slice(0, 10), Array(10).fill("tempfail 451 4.3.0 no"));
    for (const text of texts.slice(10)) {
      assert.match(text, /^tempfail mx\.example\.net \(127\.0\.0\.1\) refused the last 10 messages; next try/);
    }
    assert.equal(server.lines().filter((line) => line.startsWith("MAIL")).length, 10);
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

Deno.test("max-failures-per-session 0: no number of refused recipients ends the session", () =>
  viaSmarthost({ ...on("RCPT", "550 5.1.1 no"), keywords: ["PIPELINING"] }, async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: Array.from({ length: 90 }, (_, at) => `u${at}@x.test`) }));
    assert.ok(texts.every((text) => text === "permfail 550 5.1.1 no"));
    assert.equal(server.sessions.length, 1);
  }, { limits: { maxFailuresPerSession: 0 } }));

Deno.test("session-transaction-delay passes between two transactions, and not before the first", async () => {
  const waits: { ms: number; lines: number }[] = [];
  let said: () => string[] = () => [];
  const clock: Clock = {
    ...systemClock,
    after(ms, act) {
      if (ms === 7_000) waits.push({ ms, lines: said().filter((line) => line === "DATA").length });
      return systemClock.after(ms === 7_000 ? 0 : ms, act);
    },
  };
  await viaSmarthost({}, async (world, server) => {
    said = () => server.lines();
    await world.settled([1, 2, 3].flatMap(() => world.send({ rcpts: ["a@x.test"] })));
    assert.equal(server.sessions.length, 1);
    assert.deepEqual(waits.slice(0, 2), [{ ms: 7_000, lines: 1 }, { ms: 7_000, lines: 2 }]);
  }, { limits: { sessionTransactionDelay: 7 }, tools: { clock } });
});

Deno.test("mta limit for domain: the limits of the smarthost's name hold for it, the general ones for others", () =>
  viaSmarthost({}, async (world, server) => {
    await world.settled([1, 2, 3].flatMap(() => world.send({ rcpts: ["a@x.test"] })));
    assert.deepEqual(server.sessions.map((session) => session.messages.length), [1, 1, 1]);
  }, { limits: { sessionMailMax: 50 }, domainLimits: { "mx.example.net": { sessionMailMax: 1 }, "x.test": {} } }));

Deno.test("a domain called like a property of every object has the general limits", () =>
  viaMx([{ preference: 10, script: {} }], async (world, [server]) => {
    await world.settled([1, 2].flatMap(() => world.send({ rcpts: ["a@constructor"] })));
    assert.deepEqual(server!.sessions.map((session) => session.messages.length), [1, 1]);
  }, {
    mx: Object.fromEntries([["constructor", [[10, "mx1.test"]]]]),
    limits: { sessionMailMax: 1 },
  }));

Deno.test("inet6 as a limit: a host that has no such address is not connected to", () =>
  viaSmarthost({}, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [
      "tempfail Address family mismatch on destination MXs",
    ]);
    assert.equal(server.sessions.length, 0);
  }, { limits: { family: 6 } }));

Deno.test("more than 100 recipients go to an exchanger in several transactions", () =>
  viaMx([{ preference: 10, script: { keywords: ["PIPELINING"] } }], async (world, [server]) => {
    await world.settled(world.send({ rcpts: Array.from({ length: 250 }, (_, at) => `u${at}@x.test`) }));
    assert.equal(server!.messages().length, 3);
    assert.equal(server!.lines().filter((line) => line.startsWith("RCPT")).length, 250);
  }));

const others = [
  { because: "refuses connections", script: null, want: "Connection refused" },
  { because: "greets with 554", script: { banner: "554 5.7.1 not you" }, want: "554 5.7.1 not you" },
  { because: "has no address", url: "smtp://gone.test:2525", want: "Host not found: gone.test does not exist" },
  { because: "is no URL", url: "nonsense://x", want: "has the unknown scheme nonsense" },
];
for (const { because, script = null, url, want } of others) {
  Deno.test(`a smarthost that ${because}: mail goes to the next of the list at once, or says why not`, async () => {
    const bad = await fakeServer(script ?? {}), good = await fakeServer({ host: "127.0.0.2" });
    if (script === null) await bad.close();
    const first = url ?? `smtp://127.0.0.1:${bad.port}`, next = `smtp://127.0.0.2:${good.port}`;
    let others: readonly string[] = ["smtps://label@x", next];
    const world = relayWorld({
      actions: { out: { host: "hosts" } },
      smarthost: () => first,
      get otherSmarthosts() {
        return others;
      },
    });
    try {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
      others = ["smtp://nowhere.test"];
      const [text] = await world.settled(world.send({ rcpts: ["b@x.test"] }));
      const last = want.startsWith("554")
        ? `${want} (127.0.0.1 port ${bad.port}, at the greeting)`
        : "Host not found: nowhere.test does not exist";
      assert.equal(text, `tempfail ${last}`);
      others = [];
      const [alone] = await world.settled(world.send({ rcpts: ["c@x.test"] }));
      assert.ok(alone!.includes(want), alone);
    } finally {
      await world.stop();
      await good.close();
      if (script !== null) await bad.close();
    }
  });
}

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
    [
      "nonsense://x",
      'relay host "nonsense://x" has the unknown scheme nonsense: write one of smtp, smtp+tls, smtp+notls, smtps, lmtp',
    ],
    ["smtps://label@x", 'relay host "smtps://********@x" has a label, but its action no auth table'],
    ["smtp://nowhere.test", "Host not found: nowhere.test does not exist"],
  ] as const
) {
  Deno.test(`the smarthost ${url}: tempfail ${want}`, async () => {
    const world = relayWorld({ actions: { out: { host: "hosts" } }, smarthost: () => url });
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [`tempfail ${want}`]);
    await world.stop();
  });
}

Deno.test("an envelope that is here already is not taken again, one that is done is settled again", () =>
  viaSmarthost({}, async (world, server) => {
    const [id] = world.send({ rcpts: ["a@x.test"] });
    const again = { type: "job", message: messageOf(id!), action: "out", lane: "x.test", ids: [id!], mac: "" } as const;
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
    world.job({ type: "job", message: messageOf(id!), action: "out", lane: "x.test", ids: [id!], mac: "" });
    await world.settled([id!]);
    assert.equal(server.messages().length, 1);
  }));

Deno.test("a message that the queue cannot read is tried later", async () => {
  const server = await fakeServer();
  const world = relayWorld({ tools: { mxPort: server.port } });
  world.job({
    type: "job",
    message: msgid("000000ff"),
    action: "out",
    lane: "[127.0.0.1]",
    ids: [evpid("000000ff00000001")],
    mac: "",
  });
  assert.deepEqual(await world.settled([evpid("000000ff00000001")]), ["tempfail No such message"]);
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
  }, { timeoutMs: 500 });
});

Deno.test("show hoststats shows the last status of each destination", () =>
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
      const began = performance.now(), stopped = world.stop();
      // The scheduler does not know yet.
      ids.push(...world.send({ rcpts: ["c@x.test"] }));
      const [first] = await world.settled([ids[0]!]);
      assert.match(first!, /^tempfail Connection timeout$/);
      await stopped;
      assert.ok(performance.now() - began < 5_000, "it waited for what it does not begin");
      assert.deepEqual(ids.slice(1).filter((id) => world.outcomes.has(id)), []);
      assert.equal(server.sessions.length, 1);
    },
    { timeoutMs: 300 },
  );
});
