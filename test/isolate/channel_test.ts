/** Doors: messages of one turn travel together, questions find their answers, a dead peer is noticed. */

import assert from "node:assert/strict";
import { MAX_POST_MESSAGES } from "../../src/isolate/channel.ts";
import {
  Caller,
  DoorChannel,
  MessageMeter,
  PeerGone,
  PortTransport,
  type PostPort,
  type Transport,
} from "../../src/isolate/mod.ts";
import type { HostedWorker, IsolateHost } from "../../src/process/mod.ts";
import { WorkerSlot } from "../../src/supervisor/worker_slot.ts";
import { LIFECYCLE_RATE } from "../../src/isolate/message_rate.ts";
import { SocketTransport } from "../../src/isolate/socket_transport.ts";
import { socketPair } from "./socket_pair.ts";

type Ask = { type: "ask"; call: number; text: string } | { type: "note"; call?: never };
type Answer = { type: "answer"; call: number; text: string } | { type: "news"; call?: never };

/** A port that keeps what is posted. */
class FakePort implements PostPort {
  posts: unknown[] = [];
  onmessage: ((event: MessageEvent) => void) | null = null;
  postMessage(message: unknown): void {
    this.posts.push(structuredClone(message));
  }
  receive(messages: unknown[]): void {
    this.onmessage!({ data: messages } as MessageEvent);
  }
}

function pair() {
  const port = new FakePort();
  const channel = new DoorChannel<Ask, Answer>();
  channel.attach(new PortTransport(port));
  return { port, channel };
}

Deno.test("DoorChannel sends the messages of one turn as one post", async () => {
  const { port, channel } = pair();
  channel.send({ type: "note" });
  channel.send({ type: "note" });
  await Promise.resolve();
  assert.deepEqual(port.posts, [[{ type: "note" }, { type: "note" }]]);
});

Deno.test("DoorChannel keeps what is sent while the peer is away and posts it to the next one", async () => {
  const { port, channel } = pair();
  channel.detach();
  channel.send({ type: "note" });
  await Promise.resolve();
  assert.deepEqual(port.posts, []);
  const next = new FakePort();
  channel.attach(new PortTransport(next));
  await Promise.resolve();
  assert.deepEqual(next.posts, [[{ type: "note" }]]);
});

Deno.test("DoorChannel posts no more messages at once than the other side takes, however many have waited", async () => {
  const refused: string[] = [];
  const note = { type: "note" } as const;
  for (const waiting of [0, MAX_POST_MESSAGES - 1, MAX_POST_MESSAGES, MAX_POST_MESSAGES + 7]) {
    const channel = new DoorChannel<Ask, Answer>();
    for (let count = 0; count < waiting; count++) channel.send(note);
    const receiver = new DoorChannel<Answer, Ask>({
      arriving: new Map([["note", () => null]]),
      replies: new Map(),
      onfault: (fault) => refused.push(fault),
    });
    let received = 0;
    receiver.onmessage = () => received++;
    const other: PostPort = { postMessage: () => {}, onmessage: null };
    receiver.attach(new PortTransport(other));
    channel.attach(
      new PortTransport({
        postMessage: (data) => other.onmessage!({ data, ports: [] } as unknown as MessageEvent),
        onmessage: null,
      }),
    );
    for (let count = 0; count < 3; count++) channel.send(note);
    await Promise.resolve();
    assert.deepEqual(refused, []);
    assert.equal(received, Math.min(waiting, MAX_POST_MESSAGES) + 3);
  }
});

Deno.test("MessageMeter lets through a burst and then so many per second, and no more however long it was quiet", () => {
  let now = 0;
  const meter = new MessageMeter({ perSecond: 10, burst: 100 }, { steady: () => now });
  assert.equal(meter.take(100), null);
  now += 1_000;
  assert.equal(meter.take(10), null);
  assert.equal(meter.take(1), "more than 10 messages per second come from there");

  const patient = new MessageMeter({ perSecond: 10, burst: 100 }, { steady: () => now });
  now += 86_400_000;
  assert.equal(patient.take(200), null);
  assert.match(patient.take(1) ?? "", /^more than 10 /);
});

Deno.test("DoorChannel takes no more from who sends too fast, in full posts or in empty ones, and begins anew with another", () => {
  for (const post of [[{ type: "note" }, { type: "note" }], []]) {
    const refused: string[] = [];
    let taken = 0;
    const channel = new DoorChannel<Answer, Ask>({
      arriving: new Map([["note", () => null]]),
      replies: new Map(),
      rate: { perSecond: 0.001, burst: 30 },
      onfault: (fault) => refused.push(fault),
    });
    channel.onmessage = () => taken++;
    const port = new FakePort();
    channel.attach(new PortTransport(port));
    for (let posts = 0; posts < 30 / (1 + post.length); posts++) port.receive(post);
    assert.deepEqual([taken, refused], [post.length * 10, []]);
    port.receive(post);
    assert.deepEqual([taken, refused], [post.length * 10, ["more than 0.001 messages per second come from there"]]);
    assert.equal(port.onmessage, null);
    const next = new FakePort();
    channel.attach(new PortTransport(next));
    next.receive(post);
    assert.deepEqual([taken, refused.length], [post.length * 11, 1]);
  }
});

Deno.test("Caller.ask() resolves with the answer of the same call, whatever the order", async () => {
  const { port, channel } = pair();
  const caller = new Caller<Ask, Answer>(channel);
  const first = caller.ask<"answer">({ type: "ask", text: "a" });
  const second = caller.ask<"answer">({ type: "ask", text: "b" });
  await Promise.resolve();
  const calls = (port.posts[0] as { call: number }[]).map(({ call }) => call);
  port.receive([{ type: "answer", call: calls[1], text: "to b" }, { type: "answer", call: calls[0], text: "to a" }]);
  assert.equal((await first).text, "to a");
  assert.equal((await second).text, "to b");
});

Deno.test("Caller.ask() rejects with PeerGone when the peer ends before it answered", async () => {
  const { channel } = pair();
  const caller = new Caller<Ask, Answer>(channel);
  let resets = 0;
  caller.onreset = () => resets++;
  const question = caller.ask<"answer">({ type: "ask", text: "a" });
  channel.detach();
  await assert.rejects(question, PeerGone);
  assert.equal(resets, 1);
});

Deno.test("Caller passes on messages that answer nothing", () => {
  const { port, channel } = pair();
  const caller = new Caller<Ask, Answer>(channel);
  const received: Answer[] = [];
  caller.onmessage = (message) => received.push(message);
  port.receive([{ type: "news" }]);
  assert.deepEqual(received, [{ type: "news" }]);
});

/** What carries a door within one process, and between two. */
const TRANSPORTS: Readonly<Record<string, () => readonly [Transport, Transport]>> = {
  "a MessagePort": () => {
    const { port1, port2 } = new MessageChannel();
    return [new PortTransport(port1), new PortTransport(port2)];
  },
  "a socket": () => {
    const [one, other] = socketPair();
    return [new SocketTransport(one), new SocketTransport(other)];
  },
};

const ANSWERS: ReadonlyMap<string, (message: unknown) => string | null> = new Map([
  [
    "answer",
    (message) => typeof (message as Answer & { text?: unknown }).text === "string" ? null : "text is missing",
  ],
]);

/** A caller and the other side, which answers as `reply` says. */
function joined(
  transports: () => readonly [Transport, Transport],
  reply: (question: Ask & { call: number }) => unknown,
) {
  const faults: string[] = [];
  const asking = new DoorChannel<Ask, Answer>({
    arriving: ANSWERS,
    replies: new Map([["ask", ["answer"]]]),
    onfault: (fault) => faults.push(fault),
  });
  const caller = new Caller<Ask, Answer>(asking);
  const answering = new DoorChannel<unknown, Ask>();
  answering.onmessage = (question) => answering.send(reply(question as Ask & { call: number }));
  const join = () => {
    const [one, other] = transports();
    asking.attach(one);
    answering.attach(other);
  };
  join();
  return { caller, faults, join, end: () => (asking.detach(), answering.detach()) };
}
const echo = ({ call, text }: { call: number; text?: string }) => ({ type: "answer", call, text: `to ${text}` });

for (const [kind, transports] of Object.entries(TRANSPORTS)) {
  Deno.test(`a door over ${kind} answers every question, also to who stands there after another`, async () => {
    const { caller, faults, join, end } = joined(transports, echo as never);
    for (let life = 0; life < 3; life++) {
      const texts = Array.from({ length: 300 }, (_, index) => `${life} ${"ä".repeat(index)}`);
      const answers = await Promise.all(texts.map((text) => caller.ask<"answer">({ type: "ask", text })));
      assert.deepEqual(answers.map(({ text }) => text), texts.map((text) => `to ${text}`));
      const lost = assert.rejects(caller.ask<"answer">({ type: "ask", text: "lost" }), PeerGone);
      join();
      await lost;
    }
    assert.deepEqual(faults, []);
    end();
  });

  for (
    const [what, reply, fault] of [
      ["null", () => null, "a message is null, not an object"],
      ["a field that is missing", ({ call }) => ({ type: "answer", call }), "answer: text is missing"],
      ["an unknown type", () => ({ type: "x" }), 'a message of the type "x" may not come from there'],
      [
        "an answer to nothing",
        () => ({ type: "answer", call: 99, text: "" }),
        "answer answers a question that was not asked",
      ],
    ] as readonly (readonly [string, (question: { call: number }) => unknown, string])[]
  ) {
    Deno.test(`a door over ${kind} is closed by ${what}`, async () => {
      const { caller, faults, end } = joined(transports, reply as never);
      const refused = caller.ask<"answer">({ type: "ask", text: "a" });
      const lost = assert.rejects(refused, PeerGone);
      while (faults.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      assert.deepEqual(faults, [fault]);
      end();
      await lost;
    });
  }
}

Deno.test("an isolate that floods its supervisor is at fault, whatever it says", () => {
  const worker = {
    onmessage: null as ((event: MessageEvent) => void) | null,
    ...{ onmessageerror: null, onerror: null, postMessage: () => {}, terminate: () => {} },
  };
  const host = { start: () => worker as unknown as HostedWorker } as Partial<IsolateHost> as IsolateHost;
  const slot = new WorkerSlot({ role: "smtp", index: 0, host }, { steady: () => 0 });
  let taken = 0;
  const faults: string[] = [];
  const receiver = { onmessage: () => taken++, onfault: (fault: string) => faults.push(fault), onerror: () => {} };
  slot.launch("smtp-0", {}, receiver, null);
  const pong = { data: { type: "pong", count: 0 }, ports: [] } as unknown as MessageEvent;
  for (let count = 0; count <= LIFECYCLE_RATE.burst; count++) worker.onmessage!(pong);
  assert.deepEqual([taken, faults], [LIFECYCLE_RATE.burst, ["more than 100 messages per second come from there"]]);
});
