/** The group commit: who waits for whom. */

import assert from "node:assert/strict";
import { Commits, type Write } from "../../src/queue/store/commits.ts";
import type { Store } from "../../src/queue/store/store.ts";
import { Pings } from "../pings.ts";

/** Notes the writes of each transaction. */
class Groups {
  readonly all: string[][] = [];
  readonly commits: Commits;
  #group: string[] = [];
  /** What the next commits say. */
  error: Error | null = null;
  /** Called with each transaction that is stored. */
  oncommit = () => {};

  constructor() {
    const store: Pick<Store, "begin" | "commit" | "rollback"> = {
      begin: (durability) => void (this.#group = [durability === "synced" ? "synced" : "not synced"]),
      commit: () => {
        if (this.error !== null) throw this.error;
        this.all.push(this.#group);
        this.oncommit();
      },
      rollback: () => {},
    };
    this.commits = new Commits(store as Store);
  }

  write(name: string): Write {
    return { apply: () => void this.#group.push(name), done: () => {}, failed: null };
  }
}

Deno.test("who waits for an answer does not wait for ten thousand outcomes", () => {
  const groups = new Groups();
  const { commits } = groups;
  for (let i = 0; i < 10_000; i++) commits.later(groups.write("outcome"));
  commits.unsynced(groups.write("chunk"));
  commits.now(groups.write("message"));
  commits.flush();
  const [first] = groups.all;
  assert.deepEqual(first!.slice(0, 3), ["synced", "chunk", "message"]);
  assert.equal(first!.length, 3 + 256);
  commits.now(groups.write("second"));
  commits.flush();
  assert.deepEqual(groups.all[1]!.slice(0, 2), ["synced", "second"]);
  commits.close();
  const stored = groups.all.flat().filter((name) => name === "outcome");
  assert.equal(stored.length, 10_000, "the end stores all");
});

Deno.test("outcomes that did not fit into a group go with the next, without anybody asking", async () => {
  const groups = new Groups();
  const { commits } = groups;
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 999; i++) commits.later(groups.write("outcome"));
    commits.later({ ...groups.write("last"), done: resolve });
  });
  assert.deepEqual(groups.all.map((group) => [group[0], group.length - 1]), [
    ["synced", 256],
    ["synced", 256],
    ["synced", 256],
    ["synced", 232],
  ]);
  commits.close();
});

Deno.test("when a full disk has room again, what has failed is stored in groups, and nobody waits for all of it", async () => {
  const groups = new Groups();
  const { commits } = groups;
  groups.error = Object.assign(new Error("database or disk is full"), { errcode: 13 });
  const received: unknown[] = [];
  commits.onerror = (error) => received.push(error);
  const last = Promise.withResolvers<void>();
  for (let i = 0; i < 999; i++) commits.later(groups.write("outcome"));
  commits.later({ ...groups.write("last"), done: last.resolve });
  while (received.length < 4) await new Promise((resolve) => setTimeout(resolve, 1));
  groups.error = null;
  await last.promise;
  assert.deepEqual(groups.all.map((group) => group.length - 1), [256, 256, 256, 232]);
  commits.close();
});

Deno.test("a write that can never work holds back no other", async () => {
  const groups = new Groups();
  const { commits } = groups;
  const done: string[] = [], last = Promise.withResolvers<void>();
  const never = { apply: () => void assert.fail("constraint failed"), done: () => {}, failed: null };
  const good = (name: string) => ({ ...groups.write(name), done: () => void done.push(name) });
  commits.later(good("one"));
  commits.later(never);
  commits.later({ ...good("two"), done: last.resolve });
  await last.promise;
  assert.deepEqual(done, ["one"]);
  commits.close();
});

Deno.test("what is written because something was refused on a full disk is not lost", () => {
  const groups = new Groups();
  const { commits } = groups;
  commits.sparing = () => true;
  // As a message of which a part is stored: what is there is erased.
  const erase = { ...groups.write("erase"), frees: true } as const;
  commits.unsynced({ ...groups.write("chunk"), failed: () => commits.unsynced(erase) });
  commits.flush();
  assert.deepEqual(groups.all, [], "the chunk is refused");
  commits.flush();
  assert.deepEqual(groups.all, [["not synced", "erase"]]);
  commits.close();
});

for (const failed of [false, true]) {
  const which = failed ? "what has failed on a full disk" : "outcomes";
  Deno.test(`while many groups of ${which} are stored, a message of another isolate waits for one or two`, async () => {
    const GROUPS = 60, GROUP = 256, SYNC_MS = 0.5;
    using pings = new Pings();
    await pings.next();
    const groups = new Groups();
    let waited = 0, before = 0;
    groups.oncommit = () => {
      if (groups.all.length === 1) before = pings.taken;
      if (pings.waiting) waited++;
      for (const end = performance.now() + SYNC_MS; performance.now() < end;);
    };
    const { commits } = groups;
    if (failed) groups.error = Object.assign(new Error("database or disk is full"), { errcode: 13 });
    const left = Promise.withResolvers<void>();
    const last = Promise.withResolvers<void>();
    let failures = 0;
    commits.onerror = () => ++failures === GROUPS && left.resolve();
    for (let i = 1; i < GROUPS * GROUP; i++) commits.later(groups.write("outcome"));
    commits.later({ ...groups.write("last"), done: last.resolve });
    if (failed) await left.promise;
    groups.error = null;
    await last.promise;
    const messages = pings.taken - before;
    assert.ok(groups.all.length >= GROUPS, `${groups.all.length} groups`);
    assert.ok(waited <= 2 * (messages + 1), `${messages} messages waited for ${waited} groups`);
    commits.close();
  });
}
