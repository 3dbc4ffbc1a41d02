/** What the traces `imsg` and `mproc` say of a door, and that they say nothing when they are off. */

import assert from "node:assert/strict";
import type { Event, Trace } from "../../src/events/mod.ts";
import { DoorChannel, PortTransport, type PostPort } from "../../src/isolate/mod.ts";
import { type DoorSide, watchDoor } from "../../src/isolate/watch.ts";

const SMTP: DoorSide = { role: "smtp", index: 1, name: "smtp-queue", peer: 0 };

function observer(...wanted: Trace[]) {
  const texts: string[] = [];
  return {
    texts,
    verbose: false,
    traces: (trace: Trace) => wanted.includes(trace),
    emit: (event: Event) => void texts.push(event.type === "trace" ? event.text : "no trace"),
  };
}

const batch = [{ type: "chunk" }, { type: "commit" }];
const rows: readonly { door: DoorSide; traces: readonly Trace[]; want: readonly string[]; because: string }[] = [
  {
    door: SMTP,
    traces: ["imsg"],
    want: ["imsg: smtp-1 -> queue: chunk", "imsg: smtp-1 -> queue: commit"],
    because: "each message has a line",
  },
  { door: SMTP, traces: ["mproc"], want: ["mproc: smtp-1 -> queue: 2 messages in one post"], because: "each post has" },
  {
    door: { role: "queue", index: 0, name: "smtp-queue", peer: 1 },
    traces: ["mproc"],
    want: ["mproc: queue -> smtp-1: 2 messages in one post"],
    because: "the other side of the door answers",
  },
  {
    door: { role: "delivery", index: 0, name: "mailbox-delivery", peer: 2 },
    traces: ["imsg"],
    want: ["imsg: delivery -> mailbox-2: chunk", "imsg: delivery -> mailbox-2: commit"],
    because: "there are several of a file role",
  },
];
for (const { door, traces, want, because } of rows) {
  Deno.test(`watchDoor() of ${door.name} in ${door.role} under ${traces}: ${because}`, () => {
    const seen = observer(...traces);
    watchDoor(seen, door)!(batch);
    assert.deepEqual(seen.texts, want);
  });
}

Deno.test("watchDoor() is null when nothing of the kind is traced, and always at doors of events", () => {
  assert.equal(watchDoor(observer("smtp", "io"), SMTP), null);
  assert.equal(watchDoor(observer("imsg", "mproc"), { role: "queue", index: 0, name: "queue-control", peer: 0 }), null);
});

Deno.test("DoorChannel shows each post to its watch before it leaves", async () => {
  const order: unknown[] = [];
  const port: PostPort = { onmessage: null, postMessage: (messages) => void order.push(["posted", messages]) };
  const channel = new DoorChannel<{ type: string }, never>();
  channel.attach(new PortTransport(port));
  channel.watch = (messages) => order.push(["seen", messages.length]);
  for (const message of batch) channel.send(message);
  await Promise.resolve();
  assert.deepEqual(order, [["seen", 2], ["posted", batch]]);
});
