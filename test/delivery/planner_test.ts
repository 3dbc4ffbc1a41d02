/** As whom mail may be delivered, whatever the rest of the daemon asks for. The methods' own tests have how. */

import assert from "node:assert/strict";
import type { LocalAction } from "../../src/config/mod.ts";
import { planDelivery } from "../../src/delivery/planner.ts";
import { envelopeOf, localAction, settingsOf } from "./harness.ts";

const QUEUE = 77, OTHER = 78;
const settings = settingsOf({ shared: { ...settingsOf().shared, root: true }, queueUid: QUEUE });
const CASES: readonly (readonly [string, Partial<LocalAction> & Pick<LocalAction, "method">, string])[] = [
  ["a command of the action", { method: { type: "mda", command: "cat" } }, ""],
  ["a command of an alias", { method: { type: "mbox" } }, "cat"],
  ["a file of an alias", { method: { type: "mbox" } }, "/var/spool/vaultpost/queue.db"],
  ["an mbox file", { method: { type: "mbox" } }, ""],
  ["a wrapper", { method: { type: "mbox" }, wrapper: "cat" }, ""],
];

for (const [what, fields, exec] of CASES) {
  Deno.test(`${what} is not run or written as the user to whom the spool belongs`, () => {
    const plan = (uid: number) => {
      const account = { name: "someone", uid, gid: uid, home: "/home/someone" };
      return planDelivery(settings, localAction(fields), envelopeOf({ exec }), account, account);
    };
    const refused = plan(QUEUE);
    assert.ok(refused.kind === "refused");
    assert.match(JSON.stringify(refused.end), /MDA not allowed to deliver to: someone/);
    assert.notEqual(plan(OTHER).kind, "refused");
  });
}
