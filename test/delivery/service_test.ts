/** The delivery isolate at its doors: accounts, loops, jobs that come twice, a queue that dies. */

import assert from "node:assert/strict";
import { PeerGone } from "../../src/isolate/mod.ts";
import { Slots } from "../../src/delivery/slots.ts";
import { envelopeOf, withWorld } from "./harness.ts";
import { FakeClock } from "../fake_clock.ts";
import { evpid } from "../ids.ts";

const BODY = "Subject: hello\n\nHi there\n";
const maildir = { method: { type: "maildir", path: null, junk: false } } as const;
const files = (home: string) => [...Deno.readDirSync(`${home}/Maildir/new`)].length;

Deno.test("A message that carries Delivered-To with this address is a loop, for good", () =>
  withWorld(maildir, async (world) => {
    const { outcome, event } = await world.send(envelopeOf(), `Delivered-To: BOB@example.org\n${BODY}`);
    assert.deepEqual(outcome, { result: "loop", text: "Loop detected", status: { class: 5, code: "4.6" } });
    assert.equal(event.outcome, "loop");
    assert.equal(event.stat, "Loop detected");
  }));
Deno.test("A message that was delivered to the original recipient elsewhere is no loop", () =>
  withWorld(maildir, async (world) => {
    const envelope = envelopeOf({ rcpt: { local: "team", domain: "example.org" } });
    assert.equal((await world.send(envelope, `Delivered-To: team@example.org\n${BODY}`)).outcome.result, "ok");
  }));

Deno.test("An account that is not found is a final failure, one that cannot be looked up a temporary one", () =>
  withWorld(maildir, async (world) => {
    world.accounts = () => ({ ok: false, temporary: false, text: "Permanent failure in user lookup" });
    const missing = await world.send(envelopeOf(), BODY);
    assert.deepEqual(missing.outcome, {
      result: "permfail",
      text: "Permanent failure in user lookup",
      status: { class: 5, code: "1.6" },
    });
    assert.equal(missing.event.stat, "Permanent failure in user lookup");
    assert.equal(missing.event.user, "bob");
    world.accounts = () => ({ ok: false, temporary: true, text: "" });
    const unknown = await world.send(envelopeOf(), BODY);
    assert.equal(unknown.outcome.result, "tempfail");
    assert.equal(unknown.event.stat, "Temporary failure in user lookup");
  }));

Deno.test("An account is asked for again after a few seconds", async () => {
  const clock = new FakeClock();
  await withWorld(maildir, async (world) => {
    await world.send(envelopeOf(), BODY);
    await world.send(envelopeOf(), BODY);
    assert.equal(world.lookups, 1);
    clock.advance(5_000);
    await world.send(envelopeOf(), BODY);
    assert.equal(world.lookups, 2);
  }, { tools: { clock } });
});

Deno.test("An action that is gone keeps the mail", () =>
  withWorld(maildir, async (world) => {
    const { outcome } = await world.send(envelopeOf({ action: "gone" }), BODY);
    assert.equal(outcome.result, "tempfail");
  }));

Deno.test("A message that cannot be read is tried again later", () =>
  withWorld(maildir, async (world) => {
    const envelope = envelopeOf();
    world.onqueue = (message) => {
      if (message.type !== "open") return true;
      queueMicrotask(() => world.queue.onmessage({ type: "unreadable", call: message.call, text: "No such message" }));
      return false;
    };
    const refused = new Promise<void>((resolve) => {
      const silent = world.onqueue;
      world.onqueue = (message) => {
        if (message.type === "outcome") queueMicrotask(resolve);
        return silent(message);
      };
    });
    void world.send(envelope, BODY);
    await refused;
    assert.deepEqual(world.outcomes, [{
      type: "outcome",
      id: envelope.id,
      outcome: { result: "tempfail", text: "No such message", status: { class: 4, code: "3.0" } },
    }]);
  }));

Deno.test("A job that comes again while it runs is not delivered twice", () =>
  withWorld(maildir, async (world, home) => {
    const envelope = envelopeOf();
    const sent = world.send(envelope, BODY);
    world.job([envelope]);
    await sent;
    assert.equal(files(home), 1);
  }));

Deno.test("A job that comes again after it was delivered gets the same answer and no second copy", () =>
  withWorld(maildir, async (world, home) => {
    const envelope = envelopeOf();
    await world.send(envelope, BODY);
    world.job([envelope]);
    assert.deepEqual(world.outcomes.map(({ outcome }) => outcome.result), ["ok", "ok"]);
    assert.equal(files(home), 1);
  }));

Deno.test("A job that failed for now is delivered when it comes again", () =>
  withWorld(maildir, async (world, home) => {
    const envelope = envelopeOf();
    world.accounts = () => ({ ok: false, temporary: true, text: "" });
    await world.send(envelope, BODY);
    world.accounts = () => ({ ok: true, account: world.account, identity: world.account });
    assert.equal((await world.send(envelope, BODY)).outcome.result, "ok");
    assert.equal(files(home), 1);
  }));

Deno.test("When the queue dies before it answers, the job is forgotten and may come again", () =>
  withWorld(maildir, async (world, home) => {
    const envelope = envelopeOf();
    world.onqueue = () => false;
    void world.send(envelope, BODY);
    world.onqueue = () => true;
    world.queue.onreset();
    // The rejection is handled in the turns after this one.
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(world.outcomes, []);
    assert.ok(new PeerGone() instanceof Error);
    assert.equal((await world.send(envelope, BODY)).outcome.result, "ok");
    assert.equal(files(home), 1);
  }));

Deno.test("Envelopes that are no longer queued are left out, the others delivered one by one", () =>
  withWorld(maildir, async (world, home) => {
    const first = envelopeOf();
    const gone = { ...envelopeOf(), id: evpid(first.id.slice(0, 8) + "deadbeef") };
    const second = { ...envelopeOf(), id: evpid(first.id.slice(0, 8) + "0badcafe") };
    const done = new Promise<void>((resolve) => {
      world.onqueue = (message) => {
        if (message.type === "open") world.envelopes.delete(gone.id);
        if (message.type === "outcome" && message.id === second.id) queueMicrotask(resolve);
        return true;
      };
    });
    world.bodies.set(first.id.slice(0, 8), [new TextEncoder().encode(BODY)]);
    world.job([first, gone, second]);
    await done;
    assert.deepEqual(world.outcomes.map(({ id }) => id), [first.id, second.id]);
    assert.equal(files(home), 2);
  }));

Deno.test("The event of a delivery says all that the log line needs", async () => {
  const clock = new FakeClock();
  await withWorld(maildir, async (world) => {
    const envelope = envelopeOf({ createdAt: clock.now() - 1_500 });
    const { event } = await world.send(envelope, BODY);
    assert.match(event.session, /^[0-9a-f]{16}$/);
    assert.deepEqual({ ...event, session: "" }, {
      type: "delivery",
      agent: "mda",
      session: "",
      envelope: envelope.id,
      from: envelope.sender,
      to: envelope.dest,
      rcpt: envelope.rcpt,
      delayMs: 1_500,
      outcome: "ok",
      stat: "Delivered",
      user: "bob",
    });
  }, { tools: { clock } });
});

Deno.test("Gauges are sent when they change, not for each message", async () => {
  const clock = new FakeClock();
  await withWorld(maildir, async (world) => {
    const sent = world.send(envelopeOf(), BODY);
    clock.advance(250);
    await sent;
    await new Promise((resolve) => setTimeout(resolve, 0));
    clock.advance(250);
    const gauges = world.events.flatMap((event) => event.type === "gauge" ? [`${event.key}=${event.to}`] : []);
    assert.deepEqual(gauges, [
      "mda.running=1",
      "mda.user=1",
      "mda.envelope=1",
      "mda.running=0",
      "mda.user=0",
      "mda.envelope=0",
    ]);
  }, { tools: { clock } });
});

Deno.test("Slots let users take turns and keep to both limits", async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const finish: (() => void)[] = [];
  const work = (name: string) => () => {
    order.push(name);
    return new Promise<void>((resolve) => finish.push(resolve));
  };
  for (const name of ["a1", "a2", "a3", "b1", "c1"]) slots.run(name[0]!, 1, work(name));
  assert.deepEqual(order, ["a1", "b1"]);
  assert.deepEqual([slots.running, slots.waiting, slots.users], [2, 3, 3]);
  const settle = async (index: number) => {
    finish[index]!();
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  await settle(0);
  assert.deepEqual(order, ["a1", "b1", "a2"]);
  await settle(1);
  await settle(2);
  assert.deepEqual(order, ["a1", "b1", "a2", "c1", "a3"]);
  const closed = slots.close();
  slots.run("d", 1, work("d1"));
  await settle(3);
  await settle(4);
  await closed;
  assert.equal(order.length, 5);
});
