/** The isolates that touch users' files, as those see them who have tasks for them: whose turn it is, and what becomes of who hangs. */

import assert from "node:assert/strict";
import type { FileResult, FileTask, FromFiles, ToFiles } from "../../src/protocol/mod.ts";
import { ABANDONED, COMMITTED, FLAG_ABANDONED, FLAG_CALLS, FLAG_IN_CALL } from "../../src/protocol/files.ts";
import { MAX_FILE_ISOLATES, MAX_STUCK_ISOLATES } from "../../src/protocol/roles.ts";
import { FilePool, FilesHang } from "../../src/file_client/mod.ts";
import type { Channel } from "../../src/isolate/mod.ts";

const WRITTEN: FileResult = { kind: "written" };
const task: FileTask = { kind: "forward", who: { name: "bob", uid: 1, gid: 1, home: "/home/bob" }, suffix: "" };

/** An isolate that does nothing by itself. */
class Member implements Channel<ToFiles, FromFiles> {
  onmessage: (message: FromFiles) => void = () => {};
  onreset: () => void = () => {};
  flags = new Int32Array(3);
  readonly calls: number[] = [];
  readonly chunks: (string | null)[] = [];
  readonly moved: Transferable[][] = [];

  send(message: ToFiles, transfer: Transferable[] = []): void {
    if (message.type === "chunk") this.moved.push(transfer);
    if (message.type === "flags") this.flags = new Int32Array(message.flags) as never;
    else if (message.type === "task") this.calls.push(message.number);
    else this.chunks.push(message.bytes === null ? null : new TextDecoder().decode(message.bytes));
  }

  /** Does the oldest task. */
  done(result: FileResult = WRITTEN): void {
    this.onmessage({ type: "done", number: this.calls.shift()!, result });
  }

  /** The thread goes into a file call, and does not come back. */
  hang(): void {
    Atomics.add(this.flags, FLAG_CALLS, 1);
    Atomics.store(this.flags, FLAG_IN_CALL, 1);
  }

  return(): void {
    Atomics.store(this.flags, FLAG_IN_CALL, 0);
  }
}

class PoolHarness {
  now = 0;
  contended = false;
  readonly members: Member[] = [];
  readonly warned: string[] = [];
  /** What each task has come to, in order of their ends. */
  readonly ends: string[] = [];
  #look: (() => void) | null = null;
  readonly pool = new FilePool({
    grow: () => this.grow(),
    contended: () => this.contended,
    now: () => this.now,
    every: (_ms, run) => {
      this.#look = run;
      return () => this.#look = null;
    },
    warn: (text) => void this.warned.push(text),
  });

  grow(): Member {
    const member = new Member();
    this.members.push(member);
    this.pool.add(member, this.members.length - 1);
    return member;
  }

  run(key: string, name = key): void {
    this.pool.run(key, task).then(
      () => this.ends.push(`${name} ok`),
      (error) => this.ends.push(`${name} ${error instanceof FilesHang ? "hangs" : error}`),
    );
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 250) {
      this.now += 250;
      this.#look?.();
    }
    await this.turn();
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve));
  }

  get looks(): boolean {
    return this.#look !== null;
  }
}

Deno.test("the first isolate comes with the first task, and one user has one isolate at a time", async () => {
  const harness = new PoolHarness();
  harness.run("a", "a1");
  harness.run("a", "a2");
  assert.equal(harness.members.length, 1);
  const [first] = harness.members;
  assert.equal(first!.calls.length, 2, "his tasks run together");
  harness.run("b");
  await harness.pass(250);
  assert.equal(harness.members.length, 2, "who waits gets another isolate");
  assert.equal(harness.members[1]!.calls.length, 1);
  harness.run("a", "a3");
  assert.equal(first!.calls.length, 3);
  for (const member of [first!, first!, first!, harness.members[1]!]) member.done();
  await harness.turn();
  assert.deepEqual(harness.ends, ["a1 ok", "a2 ok", "a3 ok", "b ok"]);
  assert.equal(harness.looks, false, "nobody looks when nothing runs");
});

Deno.test("who has an isolate gets nothing more into it while others wait for one", async () => {
  const harness = new PoolHarness();
  for (let count = 0; count < MAX_FILE_ISOLATES; count++) harness.grow();
  for (let user = 0; user < MAX_FILE_ISOLATES; user++) harness.run(`busy ${user}`);
  harness.run("other");
  harness.run("busy 0", "again");
  const [member] = harness.members;
  assert.equal(member!.calls.length, 1);
  await harness.pass(1000);
  assert.equal(harness.members.length, MAX_FILE_ISOLATES, "load alone gets no more than so many");
  member!.done();
  await harness.turn();
  member!.done();
  member!.done();
  await harness.turn();
  assert.deepEqual(harness.ends, ["busy 0 ok", "other ok", "again ok"]);
});

Deno.test("what is done when its isolate is to be given up is not reported as failed", async () => {
  const harness = new PoolHarness();
  const mailbox: FileTask = { kind: "prepare", who: { uid: 1, gid: 1 }, path: "/x" };
  const results: string[] = [];
  const run = (name: string) => {
    harness.pool.run("a", mailbox).then(
      ({ kind }) => results.push(`${name} ${kind}`),
      () => results.push(`${name} hangs`),
    );
  };
  run("a1");
  run("a2");
  harness.grow();
  await harness.turn();
  const [first] = harness.members;
  first!.hang();
  // One of two is done, and its answer is on its way: it is waited for once more.
  Atomics.add(first!.flags, FLAG_ABANDONED, COMMITTED);
  await harness.pass(5250);
  assert.deepEqual(results, []);
  assert.equal(Atomics.load(first!.flags, FLAG_ABANDONED), COMMITTED);
  first!.done();
  await harness.turn();
  assert.deepEqual(results, ["a1 written"]);
  assert.equal(Atomics.load(first!.flags, FLAG_ABANDONED), 0);
  // The other is done, and the thread hangs behind that: with its lock, perhaps.
  Atomics.add(first!.flags, FLAG_ABANDONED, COMMITTED);
  await harness.pass(10_000);
  assert.deepEqual(results, ["a1 written", "a2 written"]);
  assert.equal(Atomics.load(first!.flags, FLAG_ABANDONED) & ABANDONED, ABANDONED);
});

for (const { contended, ms } of [{ contended: false, ms: 5000 }, { contended: true, ms: 3000 }]) {
  Deno.test(`who hangs ${ms} ms in one call${contended ? ", where others want the room," : ""} is given up with what he has`, async () => {
    const harness = new PoolHarness();
    harness.contended = contended;
    for (const name of ["a1", "a2"]) harness.run("a", name);
    const [first] = harness.members;
    first!.hang();
    harness.run("b");
    await harness.pass(500);
    harness.members[1]!.done();
    await harness.pass(ms - 500);
    assert.deepEqual(harness.ends, ["b ok"], "others wait for nothing");
    await harness.pass(500);
    assert.deepEqual(harness.ends, ["b ok", "a1 hangs", "a2 hangs"]);
    assert.equal(Atomics.load(first!.flags, FLAG_ABANDONED), 1, "the isolate is to do nothing more for him");
    assert.deepEqual(harness.warned, ["the files of a do not answer: what is to be done with them has to wait"]);
    harness.run("a", "a3");
    await harness.turn();
    assert.equal(harness.ends.at(-1), "a3 hangs", "at once");
    // It comes back, from both tasks.
    first!.return();
    first!.done();
    harness.run("a", "a4");
    await harness.turn();
    assert.equal(harness.ends.at(-1), "a4 hangs");
    first!.done();
    assert.equal(Atomics.load(first!.flags, FLAG_ABANDONED), 0);
    harness.run("a", "a5");
    first!.done();
    await harness.turn();
    assert.equal(harness.ends.at(-1), "a5 ok");
  });
}

Deno.test("a chunk is moved to the isolate that asks for it, unless its buffer holds more", async () => {
  const harness = new PoolHarness();
  const member = harness.grow();
  const whole = new Uint8Array(8), part = new Uint8Array(8).subarray(1);
  void harness.pool.run("a", task, (index) => Promise.resolve(index === 1 ? whole : part));
  for (const index of [1, 2]) member.onmessage({ type: "read", number: member.calls[0]!, index });
  await harness.turn();
  assert.deepEqual(member.moved, [[whole.buffer], []]);
  assert.equal(member.moved[0]![0], whole.buffer);
  member.done();
});

Deno.test("a thread that is slow and goes on from call to call is given its time, up to a minute without a word", async () => {
  const harness = new PoolHarness();
  harness.run("a");
  const [member] = harness.members;
  for (let second = 0; second < 50; second++) {
    member!.hang();
    await harness.pass(1000);
  }
  assert.deepEqual(harness.ends, []);
  member!.onmessage({ type: "read", number: member!.calls[0]!, index: 1 });
  await harness.turn();
  assert.deepEqual(member!.chunks, [null], "there is no such chunk");
  for (let second = 0; second < 59; second++) {
    member!.hang();
    await harness.pass(1000);
  }
  assert.deepEqual(harness.ends, []);
  member!.hang();
  await harness.pass(1000);
  assert.deepEqual(harness.ends, ["a hangs"]);
});

Deno.test("when as many hang as may, those are served whose files answered before, and others wait for better times", async () => {
  const harness = new PoolHarness();
  harness.run("known");
  harness.members[0]!.done();
  for (let user = 0; user < MAX_STUCK_ISOLATES + 4; user++) harness.run(`dead ${user}`);
  const hangAll = () => {
    for (const member of harness.members) {
      if (member.calls.length > 0 && Atomics.load(member.flags, FLAG_IN_CALL) === 0) member.hang();
    }
  };
  for (let second = 0; second < 120; second++) {
    hangAll();
    await harness.pass(1000);
  }
  assert.ok(harness.pool.stuck >= MAX_STUCK_ISOLATES);
  assert.ok(harness.pool.size <= MAX_FILE_ISOLATES + MAX_STUCK_ISOLATES);
  harness.run("unknown");
  await harness.turn();
  assert.equal(harness.ends.at(-1), "unknown hangs");
  harness.run("known");
  await harness.pass(500);
  const free = harness.members.find((member) =>
    Atomics.load(member.flags, FLAG_ABANDONED) === 0 && member.calls.length > 0
  );
  free!.done();
  await harness.turn();
  assert.equal(harness.ends.at(-1), "known ok");
});

Deno.test("tasks of an isolate that ends have failed, its successor takes others", async () => {
  const harness = new PoolHarness();
  harness.run("a", "a1");
  harness.members[0]!.onreset();
  await harness.turn();
  assert.deepEqual(harness.ends, ["a1 hangs"]);
  const successor = new Member();
  harness.pool.add(successor, 0);
  harness.run("a", "a2");
  successor.done();
  await harness.turn();
  assert.deepEqual(harness.ends, ["a1 hangs", "a2 ok"]);
});

Deno.test("close() gives up what runs and what waits", async () => {
  const harness = new PoolHarness();
  for (let user = 0; user < 3; user++) harness.run(`${user}`);
  harness.pool.close();
  await harness.turn();
  assert.deepEqual(harness.ends.toSorted(), ["0 hangs", "1 hangs", "2 hangs"]);
  assert.equal(harness.looks, false);
});
