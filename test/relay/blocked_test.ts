/** Hosts that say that they block this server: they are left alone for a while, and all others go on. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { groupOf } from "../../src/relay/routes/group.ts";
import { RouteTable } from "../../src/relay/routes/routes.ts";
import type { Script } from "../smtp_client/fake_server.ts";
import { viaMx } from "./via.ts";

const BLOCKED = "421 4.7.0 Your ip has been blocked for now";
const NO_DELAYS = { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0, connDelayDomain: 0 };
const at = (stage: string, reply = BLOCKED): Script =>
  stage === "greeting"
    ? { banner: reply }
    : stage === "data"
    ? { dataReply: () => reply }
    : { reply: (line) => line.startsWith(stage) ? reply : undefined };

for (const stage of ["greeting", "MAIL", "RCPT", "data"]) {
  Deno.test(`a host that blocks this server at ${stage} gets no further connection for 15 minutes`, () =>
    viaMx([{ preference: 10, script: at(stage) }], async (world, [server]) => {
      const [first] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.match(first!, /^tempfail (421 4\.7\.0 Your ip has been blocked|.* blocks mail of this server)/);
      const ids = [1, 2, 3].flatMap(() => world.send({ rcpts: ["b@x.test"], sender: "other@example.org" }));
      for (const outcome of await world.settled(ids)) {
        // What it says to all, before any message, is the reason of all.
        if (stage === "greeting") {
          assert.match(outcome, /^tempfail 421 4\.7\.0 Your ip has been blocked/);
          continue;
        }
        assert.match(outcome, /^tempfail mx1\.test \(127\.0\.0\.1\) blocks mail of this server for now; next try at /);
        assert.ok(!outcome.includes("Your ip"), "what a host said to one sender is shown to no other");
      }
      assert.equal(server!.sessions.length, 1);
      assert.ok(
        world.log().some((line) =>
          line.startsWith("smtp-out: Suspending route [] <-> 127.0.0.1 (ptr.example.net) for 900s: blocked, 421")
        ),
      );
      const [, sentence, failure] = await world.show("hosts");
      assert.match(
        sentence!,
        /^ {2}Mail is suspended for 1[45]m\S*: the host blocks this server\. It said: 421 4\.7\.0 Your/,
      );
      assert.match(failure!, /^ {2}Last failure \S+ ago, class reputation: 421 4\.7\.0 Your ip/);
      assert.match((await world.show("routes"))[1]!, /^ {2}Mail is suspended for /);
      assert.deepEqual(await world.resume(1), []);
      assert.equal((await world.show("routes")).length, 1);
      await world.settled(world.send({ rcpts: ["c@x.test"] }));
      assert.equal(server!.sessions.length, 2, "resume route has it asked again");
    }, { limits: NO_DELAYS }));
}

Deno.test("another destination goes on while one is suspended, and so does the backup of another provider", () =>
  viaMx([{ preference: 10, script: at("MAIL") }, { preference: 20, script: {} }], async (world, [main, backup]) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.deepEqual(await world.settled(world.send({ rcpts: ["b@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.deepEqual(await world.settled(world.send({ rcpts: ["c@y.test"] })), ["ok 250 2.0.0 queued"]);
    assert.deepEqual([main!.sessions.length, backup!.messages().length >= 2], [1, true]);
  }, { limits: NO_DELAYS, mx: { "x.test": [[10, "mx1.test"], [20, "mx2.test"]], "y.test": [[10, "mx2.test"]] } }));

Deno.test("the exchangers of one provider are suspended together", () =>
  viaMx(
    [{ preference: 10, script: at("RCPT", "451 4.7.1 Your ip has been blocked") }, { preference: 20, script: {} }],
    async (world, [, other]) => {
      await world.settled(world.send({ rcpts: ["a@x.test"] }));
      const [outcome] = await world.settled(world.send({ rcpts: ["b@x.test"] }));
      assert.match(outcome!, /^tempfail mx1\.provider\.test .* blocks mail of this server/);
      assert.equal(other!.sessions.length, 0);
      assert.equal((await world.show("routes")).filter((line) => line.includes("Mail is suspended")).length, 2);
    },
    {
      limits: NO_DELAYS,
      mx: { "x.test": [[10, "mx1.provider.test"], [20, "mx2.provider.test"]] },
      addresses: { "mx1.provider.test": ["127.0.0.1"], "mx2.provider.test": ["127.0.0.2"] },
    },
  ));

Deno.test("one such answer beside a message that the host took is about one sender, and suspends nothing", () =>
  viaMx([{
    preference: 10,
    script: { reply: (line) => line.includes("MAIL FROM:<bad@") ? "451 4.7.1 Sender has a bad reputation" : undefined },
  }], async (world, [server]) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    await world.settled(world.send({ rcpts: ["b@x.test"], sender: "bad@example.org" }));
    assert.deepEqual(await world.settled(world.send({ rcpts: ["c@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.equal(server!.messages().length, 2);
  }, { limits: NO_DELAYS }));

Deno.test("a host that says so again is left alone for twice as long; a message that it takes ends that, and what waited goes", async () => {
  let offset = 0, blocks = true;
  const clock = { ...systemClock, steady: () => systemClock.steady() + offset };
  const script = { reply: (line: string) => blocks && line.startsWith("MAIL") ? BLOCKED : undefined };
  await viaMx([{ preference: 10, script }], async (world, [server]) => {
    const waits: EnvelopeIds = [];
    for (const seconds of [900, 1800, 3600]) {
      const ids = world.send({ rcpts: ["a@x.test"] });
      waits.push(...ids);
      await world.settled(ids);
      assert.ok(world.log().at(-1)!.includes(`for ${seconds}s: blocked`), `${seconds}: ${world.log().at(-1)}`);
      const before = server!.sessions.length;
      offset += seconds * 1000 - 5_000;
      waits.push(...world.send({ rcpts: ["b@x.test"] }));
      await world.settled(waits);
      assert.equal(server!.sessions.length, before, "not asked before its time");
      offset += 6_000;
    }
    blocks = false;
    const last = world.send({ rcpts: ["c@x.test"] });
    assert.deepEqual(await world.settled(last), ["ok 250 2.0.0 queued"]);
    assert.ok(waits.slice(-2).every((id) => world.rescheduled.includes(id)), "those that waited are due at once");
    assert.ok(!(await world.show("hosts")).some((line) => line.includes("suspended")));
    blocks = true;
    await world.settled(world.send({ rcpts: ["d@x.test"] }));
    assert.ok(world.log().some((line) => line.includes("for 900s: blocked")));
  }, { limits: { ...NO_DELAYS, sessionKeepalive: 0 }, tools: { clock } });
});

type EnvelopeIds = Parameters<Parameters<Parameters<typeof viaMx>[1]>[0]["settled"]>[0][number][];

Deno.test("groupOf() takes those that share the end of their names", () => {
  for (
    const [hosts, want] of [
      [["mx1.example.net", "mx2.example.net", "backup.example.org"], 2],
      [["mx.a.co.uk", "mx.b.co.uk"], 1],
      [["mx.a.co.uk", "mx2.a.co.uk"], 2],
      [["example.net", "mx.example.net"], 1],
      [["alt1.smtp-in.l.google.com", "smtp-in.l.google.com", "aspmx2.googlemail.com"], 2],
      [["192.0.2.1", "192.0.2.2"], 1],
    ] as const
  ) {
    const list = hosts.map((host, index) => ({ host, address: `192.0.2.${index + 1}`, preference: index }));
    assert.equal(groupOf(list, list[0]!).length, want, hosts.join(" "));
  }
});

Deno.test("suspend() counts once what several sessions report, and forgets nothing that is suspended", () => {
  const table = new RouteTable(), route = table.route("192.0.2.1", 0), other = table.route("192.0.2.1", 0, "192.0.2.9");
  assert.equal(table.suspend([route], { reply: "421 no", now: 0 }), 900_000);
  assert.equal(table.suspend([route], { reply: "421 no", now: 1 }), null);
  assert.equal(other.disabled, null, "from another local address");
  assert.equal(table.route("192.0.2.1", 900_000).disabled, null);
  let now = 900_000;
  for (const minutes of [30, 60, 120, 240, 240]) {
    assert.equal(table.suspend([route], { reply: "421 no", now }), minutes * 60_000);
    now += minutes * 60_000;
    assert.equal(table.route("192.0.2.1", now - 1).disabled, "blocked");
    assert.equal(table.route("192.0.2.1", now).disabled, null);
  }
  table.ready(route);
  assert.equal(route.fresh, true, "one connection at a time until a message is taken");
  table.accepted(route);
  assert.deepEqual([route.fresh, table.suspend([route], { reply: "421 no", now })], [false, 900_000]);
});
