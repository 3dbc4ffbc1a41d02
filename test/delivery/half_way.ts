/** A program for maildir_test.ts: starts a delivery whose second chunk never comes, says so, and waits to be killed. */

import { envelopeOf, localAction, settingsOf, tester, World } from "./harness.ts";

const home = Deno.args[0]!;
const action = localAction({ method: { type: "maildir", path: null, junk: false } });
const world = new World(settingsOf({ actions: { test: action } }), tester(home));
world.onqueue = (message) => {
  if (message.type !== "read") return true;
  console.log("half-way");
  return false;
};
void world.send(envelopeOf(), [new TextEncoder().encode("A: b\n\n"), new Uint8Array(1000)]);
await new Promise((resolve) => setTimeout(resolve, 60_000));
