/** `kill -9` under mixed load, 20 times, at random and at chosen places: `scripts/crash` does a thousand. See test/crash. */

import assert from "node:assert/strict";
import { runBatch } from "../crash/batch.ts";
import { describe } from "../crash/sent_mail.ts";

Deno.test("Twenty kills lose nothing that was acknowledged, and deliver nothing twice but what was in flight", async () => {
  const { totals, kinds } = await runBatch({ seed: 20261122, first: 0, kills: 20, process: null });
  console.log(describe(totals), kinds);
  assert.ok(totals.delivered > 0 && totals.relayed > 0 && totals.bounced > 0 && totals.removed > 0);
  assert.equal(totals.acknowledged, totals.delivered + totals.relayed + totals.bounced + totals.removed);
});
