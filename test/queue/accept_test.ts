/** Messages on their way in: 250 is earned by a commit on a real file, and nothing else. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { CHUNK_BYTES, CHUNK_CREDIT } from "../../src/protocol/smtp_queue.ts";
import {
  contentFor,
  enqueue,
  list,
  logged,
  open,
  openQueue,
  text,
  ticketsOf,
  typed,
  utf8,
  withQueue,
} from "./harness.ts";
import { type EnvelopeContent, messageOf } from "../../src/envelope/mod.ts";
import { msgid } from "../ids.ts";

function count(spool: string, table: string): number {
  const database = new DatabaseSync(`${spool}/queue.db`);
  const row = database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
  database.close();
  return row.n;
}

Deno.test("a committed message is on disk with its envelopes, and a new queue finds it", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  const envelopes = await enqueue(first, "Subject: kept\n\nbody\n", {}, { agent: "mta", action: "out" });
  first.stop();
  const second = await openQueue(spool);
  const tickets = await ticketsOf(second, 2);
  assert.deepEqual(new Set(tickets.map(({ id }) => id)), new Set(envelopes.map(({ id }) => id)));
  assert.deepEqual(tickets.map(({ agent, lane }) => `${agent} ${lane}`).sort(), ["mda bob", "mta example.org"]);
  const opened = await open(second, envelopes);
  assert.equal(text(opened.first), "Subject: kept\n\nbody\n");
  const { expiresAt, ...listed } = (await list(second)).find(({ id }) => id === envelopes[0]!.id)!;
  assert.deepEqual(opened.envelopes.find(({ id }) => id === listed.id), listed);
  assert.deepEqual({ ...listed, ...envelopes[0] }, listed, "the content is what came");
  assert.equal(expiresAt, listed.createdAt + 345_600_000);
  second.stop();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("a spool is made when it is missing; others can list it no more than read it", async () => {
  const folder = await Deno.makeTempDir();
  const spool = `${folder}/spool`;
  const harness = await openQueue(spool);
  await enqueue(harness);
  assert.equal(Deno.statSync(spool).mode! & 0o066, 0);
  const names = [...Deno.readDirSync(spool)].map(({ name }) => name);
  assert.ok(names.includes("queue.db"));
  for (const name of names) assert.equal(Deno.statSync(`${spool}/${name}`).mode! & 0o777, 0o600, name);
  harness.stop();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a queue that was large and is empty gives its disk back at the next start", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  for (let i = 0; i < 40; i++) await enqueue(first, "x".repeat(200_000));
  first.stop();
  assert.ok(Deno.statSync(`${spool}/queue.db`).size > 8_000_000);
  const second = await openQueue(spool);
  second.control.send({ type: "remove", call: 1, target: "all", after: "" });
  await second.control.next(typed("removed"));
  second.stop();
  (await openQueue(spool)).stop();
  assert.ok(Deno.statSync(`${spool}/queue.db`).size < 1_000_000);
  await Deno.remove(spool, { recursive: true });
});

Deno.test("a message of many chunks comes back byte by byte, and leaves nothing when it is delivered", async () => {
  const spool = await Deno.makeTempDir();
  const harness = await openQueue(spool);
  const message = harness.ids.pop()!;
  const chunks = Array.from({ length: 20 }, (_, i) => new Uint8Array(CHUNK_BYTES).fill(65 + i));
  let credit = 2;
  for (const bytes of chunks) {
    if (credit === 0) {
      await harness.smtp.next(typed("credit"));
      credit++;
    }
    harness.smtp.send({ type: "chunk", message, bytes });
    credit--;
  }
  const envelope = contentFor(message);
  harness.smtp.send({ type: "commit", message, tail: utf8("end\n"), envelopes: [envelope] });
  await harness.smtp.next(typed("committed"));
  const opened = await open(harness, [envelope]);
  assert.equal(opened.bytes, 20 * CHUNK_BYTES + 4);
  assert.equal(opened.chunks, 21);
  assert.deepEqual(opened.first, chunks[0]);
  for (const [index, want] of [[7, chunks[7]!], [20, utf8("end\n")]] as const) {
    harness.delivery.send({ type: "read", call: 900 + index, message, index });
    assert.deepEqual((await harness.delivery.next(typed("chunk"))).bytes, want);
  }
  harness.delivery.send({ type: "outcome", id: envelope.id, outcome: { result: "ok", text: "" } });
  await harness.scheduler.next(typed("settled"));
  harness.stop();
  // Erased bit by bit: what the first life did not come to, the second does at its start.
  (await openQueue(spool)).stop();
  for (let lives = 0; count(spool, "loose") > 0 && lives < 5; lives++) (await openQueue(spool)).stop();
  for (const table of ["messages", "envelopes", "chunks", "loose"]) assert.equal(count(spool, table), 0, table);
  await Deno.remove(spool, { recursive: true });
});

Deno.test("chunks without a commit are gone after a restart", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  first.smtp.send({ type: "chunk", message: first.ids.pop()!, bytes: new Uint8Array(1000) });
  await first.smtp.next(typed("credit"));
  first.stop();
  assert.equal(count(spool, "chunks"), 1);
  const second = await openQueue(spool);
  await enqueue(second);
  second.stop();
  assert.equal(count(spool, "chunks"), 1, "the new message's");
  assert.equal(count(spool, "loose"), 0);
  await Deno.remove(spool, { recursive: true });
});

for (const how of ["abort", "death of its isolate"]) {
  Deno.test(`the ${how} takes a message's chunks away`, async () => {
    const spool = await Deno.makeTempDir();
    const harness = await openQueue(spool);
    const message = harness.ids.pop()!;
    harness.smtp.send({ type: "chunk", message, bytes: new Uint8Array(1000) });
    await harness.smtp.next(typed("credit"));
    if (how === "abort") harness.smtp.send({ type: "abort", message });
    else harness.replaceSmtp();
    const { ids } = how === "abort" ? harness : await harness.smtp.next(typed("ids"));
    harness.ids.splice(0, harness.ids.length, ...ids);
    await enqueue(harness);
    harness.stop();
    assert.equal(count(spool, "chunks"), 1, "of the message that came after");
    await Deno.remove(spool, { recursive: true });
  });
}

Deno.test("an isolate whose sessions hold all ids gets more when it asks, but not for ever", async () => {
  await withQueue(async (harness) => {
    for (let blocks = 1; blocks < 256; blocks++) {
      harness.smtp.send({ type: "ids-wanted" });
      assert.equal((await harness.smtp.next(typed("ids"))).ids.length, 256);
    }
    harness.smtp.send({ type: "ids-wanted" });
    // What is asked later is answered; that was not.
    const message = harness.ids.pop()!;
    harness.smtp.send({ type: "commit", message, tail: new Uint8Array(0), envelopes: [] });
    await harness.smtp.next(typed("refused"));
    assert.deepEqual(harness.smtp.received.filter(({ type }) => type === "ids"), []);
  });
});

Deno.test("ids are sent again before they run out, and none comes twice", async () => {
  await withQueue(async (harness) => {
    const seen = new Set(harness.ids);
    for (let i = 0; i < 600; i++) {
      if (harness.ids.length === 0) {
        const { ids } = await harness.smtp.next(typed("ids"));
        for (const id of ids) assert.ok(!seen.has(id) && id !== "00000000");
        ids.forEach((id) => seen.add(id));
        harness.ids.push(...ids);
      }
      await enqueue(harness);
    }
    assert.ok(seen.size >= 600);
  });
});

const broken: { because: string; spoil: (content: EnvelopeContent) => unknown }[] = [
  { because: "an envelope of another message", spoil: (content) => ({ ...content, id: "0000000100000001" }) },
  {
    because: "an envelope id that is none",
    spoil: (content) => ({ ...content, id: `${content.id.slice(0, 8)}zzzzzzzz` }),
  },
  { because: "a bounce, which only the queue makes", spoil: (content) => ({ ...content, agent: "bounce" }) },
  { because: "a line end in an address", spoil: (content) => ({ ...content, dest: { local: "a\nb", domain: "c" } }) },
  { because: "a time that is no number", spoil: (content) => ({ ...content, createdAt: NaN }) },
  { because: "no origin", spoil: (content) => ({ ...content, origin: null }) },
  { because: "nothing at all", spoil: () => null },
];
for (const { because, spoil } of broken) {
  Deno.test(`a commit is refused for ${because}`, async () => {
    await withQueue(async (harness) => {
      const message = harness.ids.pop()!;
      const envelopes = [spoil(contentFor(message)) as EnvelopeContent];
      harness.smtp.send({ type: "commit", message, tail: utf8("x\n"), envelopes });
      const refused = await harness.smtp.next(typed("refused"));
      assert.deepEqual([refused.message, refused.code], [message, 451]);
      assert.deepEqual(await list(harness), []);
      assert.match(logged(harness).join("\n"), /cannot be stored/);
    });
  });
}

Deno.test("a commit is refused for an id that was not handed out, or was used before", async () => {
  await withQueue(async (harness) => {
    const [envelope] = await enqueue(harness);
    for (const message of [messageOf(envelope!.id), msgid("fffffffe")]) {
      harness.smtp.send({ type: "commit", message, tail: utf8("x\n"), envelopes: [contentFor(message)] });
      assert.equal((await harness.smtp.next(typed("refused"))).message, message);
    }
    assert.equal((await list(harness)).length, 1);
  });
});

Deno.test("more chunks than there is credit for are refused", async () => {
  await withQueue(async (harness) => {
    const message = harness.ids.pop()!;
    // One more may come at the end of a message.
    for (let i = 0; i < CHUNK_CREDIT + 2; i++) harness.smtp.send({ type: "chunk", message, bytes: new Uint8Array(10) });
    assert.equal((await harness.smtp.next(typed("refused"))).code, 451);
    harness.smtp.send({ type: "commit", message, tail: utf8("x\n"), envelopes: [contentFor(message)] });
    await harness.smtp.next(typed("refused"));
    assert.deepEqual(await list(harness), []);
  });
});

Deno.test("a message may end with one chunk more than there was credit for", async () => {
  await withQueue(async (harness) => {
    const message = harness.ids.pop()!;
    for (let i = 0; i <= CHUNK_CREDIT; i++) harness.smtp.send({ type: "chunk", message, bytes: utf8(`${i}\n`) });
    const envelopes = [contentFor(message)];
    harness.smtp.send({ type: "commit", message, tail: utf8("end\n"), envelopes });
    await harness.smtp.next(typed("committed"));
    assert.equal((await list(harness)).length, 1);
  });
});

Deno.test("an empty body is a message too", async () => {
  await withQueue(async (harness) => {
    const envelopes = await enqueue(harness, "");
    const opened = await open(harness, envelopes);
    assert.deepEqual([opened.bytes, opened.chunks, opened.first.length], [0, 0, 0]);
  });
});
