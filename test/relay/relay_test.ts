/** Where mail goes and by which host: exchangers, smarthosts, what is logged of it. */

import assert from "node:assert/strict";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { viaMx, viaSmarthost } from "./via.ts";
import { NOT_OWN, relayWorld } from "./world.ts";
import { ownHost } from "../../src/relay/routes/own.ts";
import { systemClock } from "../../src/clock.ts";

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
        remote: "mx.example.net",
      });
    },
  ));

Deno.test("the log shows connecting, connected and each delivery", () =>
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
        type: "relay-connecting",
        session: event!.session,
        address: `smtp://127.0.0.1:${server.port}`,
        host: "ptr.example.net",
      },
      { type: "relay-connected", session: event!.session },
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
    assert.ok(world.events.some((event) => event.type === "relay-error" && event.reason === "Connection refused"));
    assert.match(
      (await world.show("routes"))[0]!,
      /^1\. \[\] <-> 127\.0\.0\.1 \(ptr\.example\.net\) NDQ- nconn=0 nerror=1 penalty=1 timeout=1[45]s$/,
    );
    const [id] = await world.resume(1).then(() => world.send({ rcpts: ["b@x.test"] }));
    await world.settled([id!]);
    assert.ok(world.log().some((line) => line.endsWith("per admin request")));
  }, { limits: { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } }));

Deno.test("equal exchangers are drawn, and the other is tried at once when one cannot be used", () => {
  // One number for each drawing: of the host, then of its address.
  const numbers = [0.9, 0, 0, 0];
  return viaMx(
    [{ preference: 10, script: {} }, { preference: 10, script: { banner: "554 5.7.1 no" } }],
    async (world, servers) => {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
      assert.deepEqual(servers.map((server) => server!.sessions.length), [1, 1]);
    },
    // The delay of 2 s between connections is not for this: the clock stands, so that it would have no end.
    {
      tools: {
        random: () => numbers.shift() ?? 0,
        clock: {
          ...systemClock,
          steady: () => 1_000_000_000,
          after: () => () => {},
        },
      },
    },
  );
});

Deno.test("the preferred exchanger is tried before the other", () =>
  viaMx([{ preference: 20, script: {} }, { preference: 10, script: {} }], async (world, [other, preferred]) => {
    // Names come sorted from the resolver.
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.equal(preferred!.messages().length, 1);
    assert.equal(other!.sessions.length, 0);
  }, { mx: { "x.test": [[10, "mx2.test"], [20, "mx1.test"]] } }));

Deno.test("no exchanger can be used: all tasks fail for now, with what a host said", () =>
  viaMx(
    [{ preference: 10, script: null }, { preference: 20, script: { banner: "554 5.7.1 go away" } }],
    async (world, servers) => {
      const said = `554 5.7.1 go away (mx2.test (127.0.0.2) port ${servers[1]!.port}, at the greeting)`;
      const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
      assert.deepEqual(await world.settled(ids), [
        `tempfail ${said}`,
        `tempfail ${said}`,
      ]);
      assert.ok(world.events.some((event) => event.type === "relay-error" && event.reason === "554 5.7.1 go away"));
      assert.equal(world.deliveries()[0]!.relay, "127.0.0.2 (mx2.test)");
      assert.deepEqual(await world.show("relays"), []);
    },
    { limits: { connDelayRelay: 0 } },
  ));

const dns = [
  {
    mx: [[0, ""]] as [number, string][],
    want: "permfail Domain does not accept mail",
    code: "1.10",
    because: "a null MX",
  },
  { mx: "nxdomain", want: "permfail Domain does not exist", code: "1.2", because: "no such domain" },
  {
    mx: "temporary",
    want: "tempfail Temporary failure in MX lookup of x.test: SERVFAIL from 192.0.2.53",
    code: "4.3",
    because: "a failing server",
  },
] as const;
for (const { mx, want, code, because } of dns) {
  Deno.test(`mail to a domain with ${because}: ${want}`, async () => {
    const world = relayWorld({ mx: { "x.test": mx } });
    const ids = world.send({ rcpts: ["a@x.test"] });
    assert.deepEqual(await world.settled(ids), [want]);
    const outcome = world.outcomes.get(ids[0]!)!;
    assert.ok(outcome.result !== "ok");
    assert.equal(outcome.status.code, code);
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

const selves = [
  {
    because: "mail for a domain that leads here goes back",
    preferences: [10, 20],
    want: "permfail 5.4.6",
    sessions: [1, 0],
  },
  { because: "mail goes to what is preferred to this host", preferences: [20, 10], want: "ok", sessions: [0, 1] },
];
for (const { because, preferences, want, sessions } of selves) {
  Deno.test(`a host that answers EHLO with our name is this one, behind a translated address: ${because}`, () => {
    const own = ownHost({ names: ["relay.example.org"], listeners: [] }, () => 0, () => []);
    // Loopback is known to be own: here it plays the address that is translated.
    const address = (text: string) => text !== "127.0.0.1" && text !== "127.0.0.2" ? own.address(text, 25) : false;
    let learnt = "";
    const ours = {
      ...own,
      address: (text: string) => text === learnt || address(text),
      learn: (text: string) => void (learnt = text),
    };
    const script = { reply: (line: string) => line.startsWith("EHLO") ? "250 relay.example.org Hello" : undefined };
    return viaMx(
      [{ preference: preferences[0]!, script }, { preference: preferences[1]!, script: {} }],
      async (world, servers) => {
        const ids = world.send({ rcpts: ["a@x.test"] });
        await world.settled(ids);
        const outcome = world.outcomes.get(ids[0]!)!;
        const shown = outcome.result === "ok"
          ? "ok"
          : `${outcome.result} ${outcome.status.class}.${outcome.status.code}`;
        assert.equal(shown, want);
        assert.deepEqual(servers.map((server) => server!.sessions.length), sessions);
      },
      {
        tools: { own: ours },
        mx: {
          "x.test": preferences.map((each, at): [number, string] => [each, `mx${at + 1}.test`]).sort((a, b) =>
            a[0] - b[0]
          ),
        },
      },
    );
  });
}

Deno.test("a smarthost may answer EHLO with our name", () => {
  const script = { reply: (line: string) => line.startsWith("EHLO") ? "250 relay.example.org Hello" : undefined };
  return viaSmarthost(script, async (world) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
  }, { tools: { own: { ...NOT_OWN, greets: (name) => name === "relay.example.org" } } });
});

Deno.test("backup mx: mail goes to the preferred exchangers alone, and waits while they are down", () =>
  viaMx([{ preference: 10, script: null }, { preference: 20, script: {} }, { preference: 30, script: {} }], async (
    world,
    servers,
  ) => {
    const ids = world.send({ rcpts: ["a@x.test"] });
    assert.deepEqual(await world.settled(ids), [
      `tempfail mx1.test (127.0.0.1) port ${servers[1]!.port}: Connection refused`,
    ]);
    assert.deepEqual(servers.map((server) => server?.sessions.length), [undefined, 0, 0]);
  }, { actions: { out: { backup: { mx: "MX2.test" } } } }));

Deno.test("backup: a server that the domain does not list gives mail to all, and warns", () =>
  viaMx([{ preference: 10, script: null }, { preference: 20, script: {} }], async (world, servers) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.equal(servers[1]!.messages().length, 1);
    assert.ok(
      world.log().includes("warn: relay: relay.example.org is not among the mail exchangers of x.test"),
      world.log().join("\n"),
    );
  }, { actions: { out: { backup: { mx: null } } } }));

Deno.test("mail that found no route is tried again at once when its domain takes other mail", () => {
  let down = true;
  const reply = (line: string) => down && line.startsWith("EHLO") ? null : undefined;
  return viaMx([{ preference: 10, script: { reply } }], async (world) => {
    const lost = world.send({ rcpts: ["a@x.test"] });
    assert.match((await world.settled(lost))[0]!, /^tempfail /);
    assert.ok(world.log().some((line) => line.includes("No valid route")), world.log().join("\n"));
    assert.deepEqual(world.rescheduled, []);
    down = false;
    await world.resume(1);
    await world.settled(world.send({ rcpts: ["b@x.test"] }));
    assert.deepEqual(world.rescheduled, lost);
  }, { limits: { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0 } });
});
