/** Expansion of long lists: in turns, with the result of one go. */

import assert from "node:assert/strict";
import { Expander, type ExpansionLookups } from "../../src/rules/mod.ts";
import { CLIENT, local, mailbox, map, rule, type Scene, worldOf } from "./support.ts";

const RECIPIENTS = 3000;
const names = Array.from({ length: RECIPIENTS }, (_, index) => `user${index}`);
const scene: Scene = {
  rules: [rule()],
  actions: [local("a", { alias: "al" })],
  tables: [map("al", { team: "boss, :include:/list, :include:/none, user1", boss: "user2" })],
  users: names,
  includes: { "/list": names.map((name) => `${name}\n`).join("") },
};
const request = { origin: CLIENT, tls: false, sender: null, rcpt: mailbox("team@localhost") };

Deno.test("Expander.run() goes on where it stopped when the world wants a pause, and the result is the same", () => {
  const straight = new Expander(worldOf(scene), request).run();
  assert.ok(straight.ok);
  assert.equal(straight.targets.length, RECIPIENTS);
  let pauses = 0;
  let paused = false;
  const world: ExpansionLookups = {
    ...worldOf(scene),
    giveWay() {
      paused = !paused;
      if (paused) throw new Error(`pause ${++pauses}`);
    },
  };
  const expander = new Expander(world, request);
  for (;;) {
    try {
      assert.deepEqual(expander.run(), straight);
      break;
    } catch (error) {
      if (!/^pause \d+$/.test((error as Error).message)) throw error;
    }
  }
  // Each recipient is counted when he becomes a node and when he is looked at.
  assert.ok(pauses > 2 * RECIPIENTS / 64 / 2 - 2, `${pauses} pauses`);
});
