/** Large chunks of an encrypted queue are sealed and opened beside the isolate's thread: order, credit, failures and neighbours. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { type MessageId, messageOf } from "../../src/envelope/mod.ts";
import type { QueueSettings, QueueToSmtp } from "../../src/protocol/mod.ts";
import { Store } from "../../src/queue/store/store.ts";
import { CHUNK_CREDIT } from "../../src/protocol/smtp_queue.ts";
import { contentFor, list, logged, open, openQueue, type QueueHarness, typed, utf8 } from "./harness.ts";

const KEYS = { recordKeys: { current: utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"), old: [] } };
const CHUNK = 256 * 1024;

async function withHarness(
  more: Partial<QueueSettings>,
  test: (harness: QueueHarness, spool: string) => Promise<void>,
): Promise<void> {
  const spool = await Deno.makeTempDir();
  const harness = await openQueue(spool, more);
  try {
    await test(harness, spool);
  } finally {
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
}

/** Half of it can be compressed. */
function bodyOf(length: number): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(length).fill(120);
  for (let at = 0; at < length; at += 2 * 65_536) crypto.getRandomValues(body.subarray(at, at + 65_536));
  return body;
}

type Answer = Extract<QueueToSmtp, { type: "committed" | "refused" }>;

const answerTo = (message: MessageId) => (received: QueueToSmtp): received is Answer =>
  (received.type === "committed" || received.type === "refused") && received.message === message;

/** Sends all but the last chunk as credit allows, two at once. */
async function sendChunks(harness: QueueHarness, message: MessageId, body: Uint8Array<ArrayBuffer>): Promise<number> {
  let at = 0, credit = 2;
  for (; body.length - at > CHUNK; at += CHUNK) {
    if (credit === 0) {
      await harness.smtp.next(typed("credit"));
      credit++;
    }
    credit--;
    harness.smtp.send({ type: "chunk", message, bytes: body.slice(at, at + CHUNK) });
  }
  return at;
}

async function bodyIn(harness: QueueHarness): Promise<Uint8Array> {
  const [envelope] = await list(harness);
  const { bytes, chunks, first } = await open(harness, [envelope!]);
  const body = new Uint8Array(bytes);
  body.set(first);
  // All at once: each answer belongs to its question, whichever comes first.
  for (let index = 1; index < chunks; index++) {
    harness.delivery.send({ type: "read", call: 1000 + index, message: messageOf(envelope!.id), index });
  }
  for (let left = chunks - 1; left > 0; left--) {
    const { call, bytes } = await harness.delivery.next(typed("chunk"));
    body.set(bytes, (call - 1000) * CHUNK);
  }
  return body;
}

for (
  const { settings, name } of [
    { name: "encrypted", settings: KEYS },
    { name: "compressed and encrypted", settings: { ...KEYS, compression: true } },
    { name: "compressed", settings: { compression: true } },
  ]
) {
  Deno.test(`a large message that is ${name} comes back octet by octet, its last part small or large`, async () => {
    for (const length of [CHUNK - 1, 5 * CHUNK + 10, 6 * CHUNK]) {
      await withHarness(settings, async (harness) => {
        const message = harness.ids.pop()!;
        const body = bodyOf(length);
        const at = await sendChunks(harness, message, body);
        // The last chunks are not answered yet.
        harness.smtp.send({ type: "commit", message, tail: body.slice(at), envelopes: [contentFor(message)] });
        assert.equal((await harness.smtp.next(answerTo(message))).type, "committed");
        assert.deepEqual(await bodyIn(harness), body);
      });
    }
  });
}

Deno.test("a message of one chunk that came before the commit is read back, whatever is kept in memory", async () => {
  for (const settings of [{}, KEYS]) {
    await withHarness(settings, async (harness) => {
      const message = harness.ids.pop()!, body = bodyOf(200_000);
      harness.smtp.send({ type: "chunk", message, bytes: body.slice() });
      await harness.smtp.next(typed("credit"));
      harness.smtp.send({ type: "commit", message, tail: new Uint8Array(0), envelopes: [contentFor(message)] });
      assert.equal((await harness.smtp.next(answerTo(message))).type, "committed");
      // A difference of so many octets would take minutes to show.
      assert.ok(Buffer.from(body).equals(await bodyIn(harness)));
    });
  }
});

Deno.test("a small message does not wait for a large one that is being sealed", async () => {
  await withHarness(KEYS, async (harness) => {
    const large = harness.ids.pop()!, small = harness.ids.pop()!;
    harness.smtp.send({ type: "commit", message: large, tail: bodyOf(CHUNK), envelopes: [contentFor(large)] });
    harness.smtp.send({ type: "commit", message: small, tail: utf8("hello\n"), envelopes: [contentFor(small)] });
    const order: MessageId[] = [];
    for (let i = 0; i < 2; i++) order.push((await harness.smtp.next(typed("committed"))).message);
    assert.deepEqual(order, [small, large]);
  });
});

Deno.test("more chunks than there is credit for are refused while the others are being sealed", async () => {
  await withHarness(KEYS, async (harness) => {
    const message = harness.ids.pop()!;
    for (let i = 0; i < CHUNK_CREDIT + 2; i++) harness.smtp.send({ type: "chunk", message, bytes: bodyOf(CHUNK) });
    assert.equal((await harness.smtp.next(answerTo(message))).type, "refused");
    harness.smtp.send({ type: "commit", message, tail: utf8("x"), envelopes: [contentFor(message)] });
    assert.equal((await harness.smtp.next(answerTo(message))).type, "refused");
    assert.deepEqual(await list(harness), []);
  });
});

Deno.test("a chunk that cannot be sealed refuses its message, also when the end has arrived: nothing of it stays", async () => {
  const makeChunk = Store.prototype.makeChunk;
  try {
    await withHarness(KEYS, async (harness, spool) => {
      const message = harness.ids.pop()!;
      Store.prototype.makeChunk = function (this: Store, number, index, bytes) {
        return index === 1 ? Promise.reject(new Error("no memory")) : makeChunk.call(this, number, index, bytes);
      };
      for (let i = 0; i < 2; i++) harness.smtp.send({ type: "chunk", message, bytes: bodyOf(CHUNK) });
      harness.smtp.send({ type: "commit", message, tail: utf8("end\n"), envelopes: [contentFor(message)] });
      const answer = await harness.smtp.next(answerTo(message));
      assert.ok(answer.type === "refused" && answer.code === 451);
      assert.deepEqual(await list(harness), []);
      harness.stop();
      const database = new DatabaseSync(`${spool}/queue.db`);
      assert.deepEqual(database.prepare("SELECT id FROM messages").all(), []);
      const { odd } = database.prepare(
        "SELECT count(*) AS odd FROM chunks WHERE key / 1048576 NOT IN (SELECT message FROM loose)",
      ).get() as { odd: number };
      assert.equal(odd, 0, "what was stored of it is erased, or will be");
      database.close();
    });
  } finally {
    Store.prototype.makeChunk = makeChunk;
  }
});

Deno.test("a message that is given up while it is being sealed leaves nothing", async () => {
  await withHarness(KEYS, async (harness, spool) => {
    const message = harness.ids.pop()!, later = harness.ids.pop()!;
    harness.smtp.send({ type: "chunk", message, bytes: bodyOf(CHUNK) });
    harness.smtp.send({ type: "abort", message });
    harness.smtp.send({ type: "commit", message: later, tail: bodyOf(CHUNK), envelopes: [contentFor(later)] });
    await harness.smtp.next(answerTo(later));
    harness.stop();
    const database = new DatabaseSync(`${spool}/queue.db`);
    assert.deepEqual(database.prepare("SELECT count(*) AS chunks FROM chunks").get(), { __proto__: null, chunks: 1 });
    assert.deepEqual(database.prepare("SELECT message FROM loose").all(), []);
    database.close();
  });
});

Deno.test("a large sealed chunk that was altered sets its message aside when it is read", async () => {
  await withHarness(KEYS, async (harness, spool) => {
    const message = harness.ids.pop()!;
    const content = contentFor(message);
    harness.smtp.send({ type: "commit", message, tail: bodyOf(CHUNK), envelopes: [content] });
    await harness.smtp.next(answerTo(message));
    harness.stop();
    const database = new DatabaseSync(`${spool}/queue.db`);
    const { bytes } = database.prepare("SELECT bytes FROM chunks").get() as { bytes: Uint8Array };
    bytes[100_000]! ^= 1;
    database.prepare("UPDATE chunks SET sum = NULL, bytes = ?").run(bytes);
    database.close();
    const again = await openQueue(spool, KEYS);
    try {
      again.delivery.send({ type: "open", call: 1, message, ids: [content.id] });
      assert.equal((await again.delivery.next(typed("unreadable"))).text, "The message is damaged");
      await again.scheduler.next(typed("dropped"));
      assert.ok(logged(again).some((line) => line.includes("is damaged and set aside")));
    } finally {
      again.stop();
    }
  });
});
