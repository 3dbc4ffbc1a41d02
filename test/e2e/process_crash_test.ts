/** `kill -9` of each process of the daemon under mixed load, twice each and the queue's three times: `scripts/crash --process` does it as often as one likes. As root. */

import assert from "node:assert/strict";
import { PROCESS_NAMES } from "../../src/protocol/processes.ts";
import { runBatch } from "../crash/batch.ts";
import { describe } from "../crash/sent_mail.ts";
import { HAS_WALLS } from "./walled_daemon.ts";

for (const process of PROCESS_NAMES) {
  Deno.test(`kills of the process ${process} lose nothing that was acknowledged`, { ignore: !HAS_WALLS }, async () => {
    const { totals, kinds } = await runBatch({ seed: 20261130, first: 0, kills: process === "vault" ? 3 : 2, process });
    console.log(describe(totals), kinds);
    assert.ok(totals.acknowledged > 0);
    assert.equal(totals.acknowledged, totals.delivered + totals.relayed + totals.bounced + totals.removed);
  });
}
