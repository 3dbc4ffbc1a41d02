/** A disk that is full, a group that fails, ids and caches at their bounds. */

import assert from "node:assert/strict";
import { Commits, refusal, type Write } from "../../src/queue/store/commits.ts";
import { Ids } from "../../src/queue/ids.ts";
import { envelopeNumber, rowOf } from "../../src/envelope/mod.ts";
import { Recent } from "../../src/queue/store/recent.ts";
import { Store } from "../../src/queue/store/store.ts";
import { contentFor, enqueue, list, NOON, openQueue, typed } from "./harness.ts";
import type { QueueToSmtp } from "../../src/protocol/mod.ts";
import { evpid, msgid } from "../ids.ts";

Deno.test("a full disk refuses mail with 452, keeps what was acknowledged, and takes mail again when there is room", async () => {
  const spool = await Deno.makeTempDir();
  let limit = (_pages: number) => {};
  const limitPages = Store.prototype.limitPages;
  const addMessage = Store.prototype.addMessage;
  // The store of the queue under test is found when it is first used.
  Store.prototype.addMessage = function (this: Store, ...args) {
    limit = (pages) => limitPages.call(this, pages);
    return addMessage.apply(this, args);
  };
  const harness = await openQueue(spool);
  try {
    const kept = (await enqueue(harness)).map(({ id }) => id);
    limit(40);
    const answered = new Map<string, QueueToSmtp>();
    const ids = harness.ids.splice(0, 20);
    for (const message of ids) {
      const envelopes = [contentFor(message)];
      harness.smtp.send({ type: "commit", message, tail: new Uint8Array(100_000), envelopes });
      const answer = await harness.smtp.next((
        received,
      ): received is Extract<QueueToSmtp, { type: "committed" | "refused" }> =>
        (received.type === "committed" || received.type === "refused") && received.message === message
      );
      answered.set(message, answer);
      if (answer.type === "committed") kept.push(envelopes[0]!.id);
      else assert.deepEqual([answer.code, answer.text.slice(0, 5)], [452, "4.3.1"]);
    }
    const types = [...answered.values()].map(({ type }) => type);
    assert.ok(types.includes("committed") && types.includes("refused"), types.join());
    assert.ok(harness.events.some((event) => event.type === "log" && event.level === "crit"));
    assert.deepEqual((await list(harness)).map(({ id }) => id), kept.sort());
    limit(1_000_000);
    kept.push((await enqueue(harness))[0]!.id);
    assert.deepEqual((await list(harness)).map(({ id }) => id), kept.sort());
  } finally {
    Store.prototype.addMessage = addMessage;
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("a full disk in the middle of a large message refuses it at once, and nothing of it stays", async () => {
  const spool = await Deno.makeTempDir();
  const putChunk = Store.prototype.putChunk;
  Store.prototype.putChunk = function (this: Store, message, index, chunk) {
    this.limitPages(60);
    return putChunk.call(this, message, index, chunk);
  };
  const harness = await openQueue(spool);
  try {
    const message = harness.ids.pop()!;
    for (let i = 0;; i++) {
      assert.ok(i < 20, "the disk is full by now");
      harness.smtp.send({ type: "chunk", message, bytes: new Uint8Array(200_000) });
      const answer = await harness.smtp.next((received): received is Exclude<QueueToSmtp, { type: "ids" | "room" }> =>
        received.type !== "ids" && received.type !== "room"
      );
      if (answer.type === "credit") continue;
      assert.ok(answer.type === "refused" && answer.code === 452);
      break;
    }
    Store.prototype.putChunk = putChunk;
    harness.smtp.send({ type: "commit", message, tail: new Uint8Array(1), envelopes: [contentFor(message)] });
    await harness.smtp.next(typed("refused"));
    await enqueue(harness);
    assert.equal((await list(harness)).length, 1);
  } finally {
    Store.prototype.putChunk = putChunk;
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("an outcome that cannot be stored is reported to nobody, and stored when the disk lets it", async () => {
  const spool = await Deno.makeTempDir();
  const removeEnvelope = Store.prototype.removeEnvelope;
  const harness = await openQueue(spool);
  try {
    const [content] = await enqueue(harness);
    let failures = 0;
    Store.prototype.removeEnvelope = function (this: Store, ...args) {
      if (failures++ === 0) throw Object.assign(new Error("disk I/O error"), { errcode: 10 });
      return removeEnvelope.apply(this, args);
    };
    harness.delivery.send({ type: "outcome", id: content!.id, outcome: { result: "ok", text: "" } });
    assert.equal((await harness.scheduler.next(typed("settled"))).again, false);
    assert.equal(failures, 2);
    assert.deepEqual(await list(harness), []);
  } finally {
    Store.prototype.removeEnvelope = removeEnvelope;
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("an outcome about a damaged row holds back no other", async () => {
  const spool = await Deno.makeTempDir();
  const removeEnvelope = Store.prototype.removeEnvelope;
  const harness = await openQueue(spool);
  try {
    const [damaged, sound] = await enqueue(harness, "x\n", {}, {});
    Store.prototype.removeEnvelope = function (this: Store, row) {
      if (row.envelope === envelopeNumber(damaged!.id)) throw new SyntaxError("Unexpected end of JSON input");
      return removeEnvelope.call(this, row);
    };
    for (const { id } of [damaged!, sound!]) {
      harness.delivery.send({ type: "outcome", id, outcome: { result: "ok", text: "" } });
    }
    assert.equal((await harness.scheduler.next(typed("settled"))).id, sound!.id);
    await enqueue(harness);
  } finally {
    Store.prototype.removeEnvelope = removeEnvelope;
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("refusal() tells a full disk from other trouble", () => {
  assert.equal(refusal(Object.assign(new Error(), { errcode: 13 })).code, 452);
  assert.equal(refusal(Object.assign(new Error(), { errcode: 10 })).code, 451);
  assert.equal(refusal("anything").code, 451);
});

Deno.test("a group of writes is one transaction: all or none, answers after the commit", () => {
  const steps: string[] = [];
  const store = {
    begin: (durability: string) => void steps.push(`begin ${durability}`),
    commit: () => void steps.push("commit"),
    rollback: () => void steps.push("rollback"),
  } as unknown as Store;
  const commits = new Commits(store);
  const write = (name: string, fails = false): Write => ({
    apply() {
      if (fails) throw new Error(name);
      steps.push(`apply ${name}`);
    },
    done: () => void steps.push(`done ${name}`),
    failed: () => void steps.push(`failed ${name}`),
  });
  commits.now(write("a"));
  commits.unsynced(write("b"));
  commits.flush();
  assert.deepEqual(steps.splice(0), ["begin synced", "apply a", "apply b", "commit", "done a", "done b"]);
  commits.unsynced(write("c"));
  commits.flush();
  assert.deepEqual(steps.splice(0), ["begin unsynced", "apply c", "commit", "done c"]);
  commits.now(write("d"));
  commits.now(write("e", true));
  commits.flush();
  assert.deepEqual(steps.splice(0), ["begin synced", "apply d", "rollback", "failed d", "failed e"]);
});

Deno.test("Ids draws again while a block is in use, and frees what an owner did not use", () => {
  const draws = [0x00000001, 0x00000201, 0x00000301, 0x00000301, 0x00000401, 0x00000301];
  const ids = new Ids(({ first }) => first === 0x200, () => draws.shift()!);
  const one = {}, two = {};
  assert.deepEqual(ids.reserve(one).slice(0, 2), ["00000300", "00000301"], "block 0 and the taken one are skipped");
  assert.equal(ids.reserve(two)[0], "00000400", "a reserved block is skipped");
  assert.equal(ids.take(one, msgid("00000302")), true);
  assert.equal(ids.take(one, msgid("00000302")), false, "used");
  assert.equal(ids.take(one, msgid("00000402")), false, "another's");
  ids.release(one);
  assert.equal(ids.take(one, msgid("00000303")), false);
  assert.equal(ids.reserve(two)[0], "00000300");
});

Deno.test("Recent forgets the least recently used above its bound, and keeps no large bodies", () => {
  const recent = new Recent(10_000);
  const content = { ...contentFor(msgid("00000001")), createdAt: NOON } as never;
  const row = (digit: number) => rowOf(evpid(`0000000${digit}00000001`));
  const get = (digit: number) => recent.get(row(digit).message);
  const put = (digit: number, length: number) => {
    const { message, envelope } = row(digit);
    const first = new Uint8Array(length);
    recent.put(message, { bytes: length, chunks: 1, first, envelopes: new Map([[envelope, content]]) });
  };
  for (const digit of [1, 2, 3]) put(digit, 2000);
  get(1);
  put(4, 2000);
  assert.deepEqual([1, 2, 3, 4].map((digit) => get(digit) !== undefined), [true, false, true, true]);
  assert.ok(recent.bytes <= 10_000);
  put(5, 100_000);
  assert.equal(get(5), undefined);
  for (const digit of [1, 3, 4]) recent.removeEnvelope(row(digit));
  assert.deepEqual([recent.size, recent.bytes], [0, 0]);
});
