/**
 * Relay and delivery read and settle only envelopes that the scheduler has given them: one that an attacker has taken over gets no other mail, and
 * makes none disappear.
 */

import assert from "node:assert/strict";
import { type EnvelopeContent, messageOf, newEnvelopeId, type Outcome } from "../../src/envelope/mod.ts";
import type { Channel } from "../../src/isolate/mod.ts";
import type { AgentToQueue, QueueToAgent } from "../../src/protocol/mod.ts";
import { QueueClient } from "../../src/queue_client/mod.ts";
import { InHand } from "../../src/queue/in_hand.ts";
import { FakeClock } from "../fake_clock.ts";
import { evpid, msgid } from "../ids.ts";
import { enqueue, jobOf, list, logged, MTA, type QueueHarness, typed, withQueue } from "./harness.ts";

const OK: Outcome = { result: "ok", text: "" };
let calls = 0;

/** An isolate at one of the doors, without a job. */
function entering(harness: QueueHarness, door: Parameters<QueueHarness["enterAgent"]>[0]) {
  const end = harness.enterAgent(door);
  const ask = async (question: Extract<AgentToQueue, { type: "open" | "read" }>) => {
    end.send(question);
    return (await end.next((answer): answer is QueueToAgent => answer.call === question.call)).type;
  };
  return {
    end,
    open: (...envelopes: readonly EnvelopeContent[]) => {
      const ids = envelopes.map(({ id }) => id);
      return ask({ type: "open", call: ++calls, message: messageOf(ids[0]!), ids });
    },
    read: ({ id }: EnvelopeContent) => ask({ type: "read", call: ++calls, message: messageOf(id), index: 0 }),
    settle: ({ id }: EnvelopeContent) => end.send({ type: "outcome", id, outcome: OK }),
  };
}

const queued = async (harness: QueueHarness) => (await list(harness)).map(({ id }) => id).sort();

Deno.test("without a job an isolate opens, reads and settles nothing, and with one nothing else", () =>
  withQueue(async (harness) => {
    const [own, sibling] = await enqueue(harness, "own\n", MTA, MTA) as [EnvelopeContent, EnvelopeContent];
    const [other] = await enqueue(harness, "another's\n", MTA) as [EnvelopeContent];
    const relay = entering(harness, "relay-queue");
    for (const envelope of [own, other]) {
      assert.equal(await relay.open(envelope), "unreadable");
      assert.equal(await relay.read(envelope), "unreadable");
      relay.settle(envelope);
    }
    relay.end.send(jobOf("mta", [own.id]));
    assert.equal(await relay.open(own), "opened");
    assert.equal(await relay.read(own), "chunk");
    assert.equal(await relay.open(own, sibling), "unreadable");
    assert.equal(await relay.open(other), "unreadable");
    assert.equal(await relay.read(other), "unreadable");
    relay.settle(sibling);
    relay.settle(other);
    assert.deepEqual(await queued(harness), [own.id, sibling.id, other.id].sort());
    relay.settle(own);
    await harness.scheduler.next(typed("settled"));
    assert.deepEqual(await queued(harness), [sibling.id, other.id].sort());
    // What is settled is out of its hand.
    assert.equal(await relay.read(own), "unreadable");
    assert.equal(harness.refused.length, 0);
    const lines = logged(harness).filter((line) => line.includes("for which it has no job"));
    assert.ok(
      lines.includes(`queue: mta opens message ${messageOf(other.id)}, for which it has no job: it is refused`),
    );
    assert.ok(lines.includes(`queue: mta settles ${other.id}, for which it has no job: it is refused`));
  }));

Deno.test("a job is that of the agent, the message and the envelopes that the scheduler has named", () =>
  withQueue(async (harness) => {
    const [one, two] = await enqueue(harness, "x\n", MTA, MTA) as [EnvelopeContent, EnvelopeContent];
    const [other] = await enqueue(harness, "y\n", MTA) as [EnvelopeContent];
    const right = jobOf("mta", [one.id]);
    const wrong: Extract<AgentToQueue, { type: "take" }>[] = [
      { ...right, ids: [two.id] },
      { ...right, ids: [one.id, two.id] },
      { ...right, ids: [] },
      { ...right, message: messageOf(other.id) },
      { ...right, mac: "0".repeat(64) },
      { ...right, mac: "" },
      { ...right, only: [two.id] },
      jobOf("mda", [one.id]),
    ];
    for (const [at, take] of wrong.entries()) {
      const relay = entering(harness, "relay-queue");
      relay.end.send(take);
      assert.equal(await relay.open(one), "unreadable");
      assert.equal(await relay.open(two), "unreadable");
      assert.equal(harness.refused.length, at + 1, JSON.stringify(take));
    }
    assert.match(harness.refused[0]!, /^take: message [0-9a-f]{8} was not given to this isolate$/);
    const delivery = entering(harness, "delivery-queue");
    delivery.end.send(right);
    assert.equal(await delivery.open(one), "unreadable", "a job of relay's is none of delivery's");
  }));

Deno.test("delivery gives a part of a job to privileged, whose outcome takes it out of both hands", () =>
  withQueue(async (harness) => {
    const [one, two] = await enqueue(harness, "x\n", {}, { exec: "vacation" }) as [EnvelopeContent, EnvelopeContent];
    const delivery = entering(harness, "delivery-queue"), privileged = entering(harness, "privileged-queue");
    const job = jobOf("mda", [one.id, two.id]);
    delivery.end.send(job);
    privileged.end.send({ ...job, only: [two.id] });
    assert.equal(await privileged.open(one), "unreadable");
    assert.equal(await privileged.open(two), "opened");
    assert.equal(await delivery.open(one, two), "opened");
    privileged.settle(two);
    await harness.scheduler.next(typed("settled"));
    assert.equal(await delivery.open(two), "unreadable");
    assert.equal(await delivery.open(one), "opened");
    assert.deepEqual(await queued(harness), [one.id]);
  }));

Deno.test("what was removed while an isolate had it in hand is out of its hand when it is opened", () =>
  withQueue(async (harness) => {
    const [one] = await enqueue(harness, "x\n", MTA) as [EnvelopeContent];
    const gone = newEnvelopeId(messageOf(one.id));
    const relay = entering(harness, "relay-queue");
    relay.end.send(jobOf("mta", [one.id, gone]));
    assert.equal(await relay.open({ ...one, id: gone }, one), "opened");
    assert.equal(await relay.open({ ...one, id: gone }), "unreadable");
  }));

Deno.test("InHand keeps the messages apart, and nothing of what was taken out", () => {
  const hand = new InHand();
  const [one, two] = [msgid("00000001"), msgid("00000002")];
  const [a, b, c] = [evpid("0000000100000001"), evpid("0000000100000002"), evpid("0000000200000001")];
  hand.add(one, [a]);
  hand.add(one, [a, b]);
  hand.add(two, [c]);
  assert.deepEqual([hand.holdsAll(one, [a, b]), hand.holdsAll(one, [a, c]), hand.holdsAll(two, [c])], [
    true,
    false,
    true,
  ]);
  assert.ok(!hand.remove(two, a) && hand.remove(one, a) && !hand.remove(one, a) && hand.holds(one));
  assert.ok(hand.remove(one, b) && !hand.holds(one) && !hand.remove(one, b));
});

Deno.test("QueueClient shows its jobs before anything else, and to a fresh queue again", async () => {
  const sent: AgentToQueue[] = [];
  const channel: Channel<AgentToQueue, QueueToAgent> = {
    send: (message) => void sent.push(message),
    onmessage: () => {},
    onreset: () => {},
  };
  const client = new QueueClient(channel);
  const message = msgid("00000001");
  const ids = [evpid("0000000100000001"), evpid("0000000100000002"), evpid("0000000100000003")];
  const job = { message, ids, mac: "m" };
  assert.deepEqual(client.take(job), ids);
  assert.deepEqual(client.take(job), [], "they are in flight");
  const opened = client.open(message, ids);
  assert.deepEqual(sent.splice(0).map(({ type }) => type), ["take", "open"]);
  client.settle(ids[0]!, OK);
  sent.length = 0;
  channel.onreset();
  await assert.rejects(opened);
  assert.deepEqual(sent.splice(0), [{ type: "take", ...job, only: ids.slice(1) }]);
  // The scheduler of the fresh queue gives it out again: what is settled already is settled again.
  assert.deepEqual(client.take(job), []);
  assert.deepEqual(sent.splice(0), [
    { type: "take", ...job, only: [ids[0]] },
    { type: "outcome", id: ids[0], outcome: OK },
  ]);
});

Deno.test("an agent that ends waits until the queue has its outcomes, 1.5 s at most, and not for one that is replaced", async () => {
  const sent: AgentToQueue[] = [], clock = new FakeClock(0);
  const channel: Channel<AgentToQueue, QueueToAgent> = {
    send: (message) => void sent.push(message),
    onmessage: () => {},
    onreset: () => {},
  };
  const client = new QueueClient(channel);
  let ended = 0;
  const end = () => client.arrived(clock).then(() => ended++);
  const settled = () => new Promise((resolve) => setTimeout(resolve));
  const asked = () => sent.at(-1) as Extract<AgentToQueue, { type: "arrived" }>;

  const answered = end();
  await settled();
  assert.deepEqual([asked().type, ended], ["arrived", 0]);
  channel.onmessage({ type: "arrived", call: asked().call });
  await answered;

  const replaced = end();
  channel.onreset();
  await replaced;

  const unanswered = end();
  clock.advance(1_499);
  await settled();
  assert.equal(ended, 2);
  clock.advance(1);
  await unanswered;
});

Deno.test("the queue answers that all has arrived when it has", () =>
  withQueue(async (harness) => {
    const [envelope] = await enqueue(harness, "own\n", MTA) as [EnvelopeContent];
    const { end, settle } = entering(harness, "relay-queue");
    end.send(jobOf("mta", [envelope.id]));
    settle(envelope);
    end.send({ type: "arrived", call: ++calls });
    await end.next((answer): answer is QueueToAgent => answer.type === "arrived");
    const settled = await harness.scheduler.next(typed("settled"));
    assert.deepEqual([settled.id, await queued(harness)], [envelope.id, []]);
  }));
