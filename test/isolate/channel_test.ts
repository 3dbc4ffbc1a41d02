/** Doors: messages of one turn travel together, questions find their answers, a dead peer is noticed. */

import assert from "node:assert/strict";
import { MAX_POST_MESSAGES } from "../../src/isolate/channel.ts";
import { Caller, DoorChannel, PeerGone, PortTransport, type PostPort } from "../../src/isolate/mod.ts";

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
