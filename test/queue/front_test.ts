/** Octets that are known only at the commit and stand in front of a message: in which chunk, whatever came before, and what is refused. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { CHUNK_BYTES, MAX_FRONT_OCTETS } from "../../src/protocol/smtp_queue.ts";
import { contentFor, list, open, openQueue, type QueueHarness, typed, utf8, withQueue } from "./harness.ts";

const KEYS = { recordKeys: { current: utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"), old: [] } };
const SETTINGS = { "in clear": {}, "encrypted": KEYS, "compressed and encrypted": { ...KEYS, compression: true } };
/** Compressible or not, short or of a whole chunk. */
const CHUNKS = [
  utf8("A: b\n\n"),
  new Uint8Array(CHUNK_BYTES).fill(66),
  new Uint8Array(CHUNK_BYTES).map((_, at) => at * at),
];
const FRONT = utf8("Authentication-Results: mx.example.org\n");

interface Shape {
  readonly chunks: readonly Uint8Array<ArrayBuffer>[];
  readonly front?: Uint8Array<ArrayBuffer>;
  readonly tail: Uint8Array<ArrayBuffer>;
}

const SHAPES: Record<string, Shape> = {
  "before chunks and a tail": { chunks: CHUNKS, front: FRONT, tail: utf8("end\n") },
  "before chunks without a tail": { chunks: CHUNKS, front: FRONT, tail: new Uint8Array(0) },
  "before a tail that is a whole chunk": { chunks: [], front: FRONT, tail: CHUNKS[1]! },
  "alone": { chunks: [], front: FRONT, tail: new Uint8Array(0) },
  "that did not come": { chunks: CHUNKS, tail: utf8("end\n") },
  "that is empty": { chunks: CHUNKS, front: new Uint8Array(0), tail: utf8("end\n") },
  "of the largest size": { chunks: CHUNKS, front: new Uint8Array(MAX_FRONT_OCTETS).fill(70), tail: utf8("end\n") },
};

/** Sends a message and returns its envelope when it is stored. */
async function send(harness: QueueHarness, { chunks, front, tail }: Shape) {
  const message = harness.ids.pop()!;
  for (const [at, bytes] of chunks.entries()) {
    harness.smtp.send({ type: "chunk", message, bytes, ...(at === 0 ? { frontFollows: true } : {}) });
    await harness.smtp.next(typed("credit"));
  }
  const envelope = contentFor(message);
  harness.smtp.send({
    type: "commit",
    message,
    ...(front === undefined ? {} : { front }),
    tail,
    envelopes: [envelope],
  });
  await harness.smtp.next(typed("committed"));
  return envelope;
}

/** The text of a message as an agent reads it. */
async function read(harness: QueueHarness, envelope: Awaited<ReturnType<typeof send>>): Promise<Uint8Array[]> {
  const opened = await open(harness, [envelope]);
  const parts: Uint8Array[] = [opened.first];
  for (let index = 1; index < opened.chunks; index++) {
    const message = envelope.id.slice(0, 8) as typeof harness.ids[number];
    harness.delivery.send({ type: "read", call: 900 + index, message, index });
    parts.push((await harness.delivery.next(typed("chunk"))).bytes);
  }
  assert.equal(opened.bytes, parts.reduce((sum, part) => sum + part.length, 0), "the size of the message");
  return parts;
}

for (const [how, settings] of Object.entries(SETTINGS)) {
  for (const [name, shape] of Object.entries(SHAPES)) {
    Deno.test(`a front ${name} is read back, ${how}, also by the next queue, and leaves nothing`, async () => {
      const spool = await Deno.makeTempDir();
      const first = await openQueue(spool, settings);
      const envelope = await send(first, shape);
      const { chunks, front = new Uint8Array(0), tail } = shape;
      const whole = new Uint8Array(await new Blob([front, ...chunks, tail]).arrayBuffer());
      const check = async (harness: QueueHarness) =>
        assert.deepEqual(
          new Uint8Array(await new Blob(await read(harness, envelope) as BlobPart[]).arrayBuffer()),
          whole,
        );
      await check(first);
      first.stop();
      const second = await openQueue(spool, settings);
      await check(second);
      second.delivery.send({ type: "outcome", id: envelope.id, outcome: { result: "ok", text: "" } });
      await second.scheduler.next(typed("settled"));
      second.stop();
      const database = new DatabaseSync(`${spool}/queue.db`);
      for (const table of ["messages", "envelopes", "chunks", "loose"]) {
        assert.equal((database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number }).n, 0, table);
      }
      database.close();
      await Deno.remove(spool, { recursive: true });
    });
  }
}

Deno.test("a message whose front has not come is gone after a restart", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  first.smtp.send({ type: "chunk", message: first.ids.pop()!, bytes: new Uint8Array(1000), frontFollows: true });
  await first.smtp.next(typed("credit"));
  first.stop();
  (await openQueue(spool)).stop();
  const database = new DatabaseSync(`${spool}/queue.db`);
  assert.equal((database.prepare("SELECT count(*) AS n FROM chunks").get() as { n: number }).n, 0);
  database.close();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("a front is refused for which no place was kept, and one that is too large", async () => {
  await withQueue(async (harness) => {
    for (const [mark, front] of [[false, FRONT], [true, new Uint8Array(MAX_FRONT_OCTETS + 1)]] as const) {
      const message = harness.ids.pop()!;
      harness.smtp.send({ type: "chunk", message, bytes: utf8("x\n"), frontFollows: mark });
      await harness.smtp.next(typed("credit"));
      harness.smtp.send({ type: "commit", message, front, tail: utf8("y\n"), envelopes: [contentFor(message)] });
      const refused = await harness.smtp.next(typed("refused"));
      assert.deepEqual([refused.message, refused.code], [message, 451]);
    }
    assert.deepEqual(await list(harness), []);
  });
});
