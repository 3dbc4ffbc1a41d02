/** The group commit: who waits for whom. */

import assert from "node:assert/strict";
import { Commits, type Write } from "../../src/queue/commits.ts";
import type { Store } from "../../src/queue/store.ts";

/** Notes the writes of each transaction. */
class Groups {
  readonly all: string[][] = [];
  readonly commits: Commits;
  #group: string[] = [];

  constructor() {
    const store: Pick<Store, "begin" | "commit" | "rollback"> = {
      begin: (synced) => void (this.#group = [synced ? "synced" : "not synced"]),
      commit: () => void this.all.push(this.#group),
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
