/** The class of a failure on its way to the scheduler: with the outcome, and again after a restart. */

import assert from "node:assert/strict";
import { enqueue, list, MTA, NOON, openQueue, typed, utf8, withQueue } from "./harness.ts";
import { retryClassOf } from "../../src/queue/retry_class.ts";

const GREYLISTED = {
  result: "tempfail",
  text: "450 4.2.0 Greylisted, please come back",
  status: { class: 4, code: "2.0" },
} as const;

Deno.test("retryClassOf() names what has a back-off of its own, and nothing else", () => {
  for (
    const [text, want] of [
      ["450 4.2.0 Greylisted, please come back", "greylisted"],
      ["452 4.2.2 The mailbox is over quota", "mailbox-full"],
      ["421 4.7.28 unusual rate of mail from your address", "rate"],
      ["421 4.7.0 Your ip has been blocked", "reputation"],
      ["451 4.3.0 Try again later", undefined],
      ["Network error on destination MXs", undefined],
      ["", undefined],
    ] as const
  ) assert.equal(retryClassOf(text), want, text);
});

for (const recordKeys of [null, { current: utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"), old: [] }]) {
  Deno.test(`the class of a failure reaches the scheduler with the outcome and after a restart${recordKeys === null ? "" : ", sealed"}`, async () => {
    const spool = await Deno.makeTempDir();
    const options = recordKeys === null ? {} : { recordKeys };
    try {
      const before = await openQueue(spool, options);
      const [content, local] = await enqueue(before, "x\n", MTA, {});
      before.clock.now = NOON + 5000;
      before.relay.send({ type: "outcome", id: content!.id, outcome: GREYLISTED });
      assert.equal((await before.scheduler.next(typed("settled"))).retryClass, "greylisted");
      before.delivery.send({ type: "outcome", id: local!.id, outcome: { ...GREYLISTED, text: "No such file" } });
      assert.equal((await before.scheduler.next(typed("settled"))).retryClass, undefined);
      before.stop();

      const after = await openQueue(spool, options);
      const found = new Map<string, unknown>();
      while (found.size < 2) {
        for (const { id, failed } of (await after.scheduler.next(typed("enqueued"))).tickets) found.set(id, failed);
      }
      assert.deepEqual(found.get(content!.id), { retryClass: "greylisted", at: NOON + 5000 });
      assert.equal(found.get(local!.id), undefined);
      after.stop();
    } finally {
      await Deno.remove(spool, { recursive: true });
    }
  });
}

Deno.test("a mailbox that is full is warned about at the attempt that the class puts behind the delay", () =>
  withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", MTA);
    // The next attempt is in an hour instead of in minutes: the warning that is due meanwhile is asked for now.
    const full = { ...GREYLISTED, text: "452 4.2.2 The mailbox is over quota" };
    harness.clock.now = NOON + 3.5 * 3_600_000;
    harness.relay.send({ type: "outcome", id: content!.id, outcome: full });
    await harness.scheduler.next(typed("settled"));
    const warned = (await list(harness)).filter(({ agent }) => agent === "bounce");
    assert.deepEqual(warned.map(({ bounce }) => bounce!.kind), ["delayed"]);
  }));
