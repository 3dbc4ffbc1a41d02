/** Start-up of a large queue: what was never tried is told first, and deliveries begin while the rest is read. */

import assert from "node:assert/strict";
import { hex8 } from "../../src/envelope/mod.ts";
import { Records } from "../../src/queue/records.ts";
import { Store } from "../../src/queue/store.ts";
import { factsFor, MTA, openQueue, typed, utf8 } from "./house.ts";

const KEYS = { current: utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"), old: [] };
const COUNT = 3000;

/** The last message was never tried. Returns its envelope's id. */
function fill(spool: string): string {
  const store = new Store(spool, new Records(false, KEYS));
  store.begin(true);
  let last = "";
  for (let index = 1; index <= COUNT; index++) {
    const number = Math.floor(index * (2 ** 32 - 2) / COUNT);
    const facts = factsFor(hex8(number), MTA);
    store.addMessage(number, 0, 0);
    store.addEnvelope(facts);
    last = facts.id;
    if (index === COUNT) continue;
    const state = { tries: 3, lastTryAt: 1, lastBounceAt: 0, errorLine: "", status: null };
    store.setState(number, parseInt(facts.id.slice(8), 16), state);
  }
  store.commit();
  store.close();
  return last;
}

Deno.test("of a large sealed queue, what was never tried is told first and delivered while the rest is loaded", async () => {
  const spool = await Deno.makeTempDir();
  const fresh = fill(spool);
  const house = await openQueue(spool, { keys: KEYS });
  try {
    const first = await house.scheduler.next(typed("enqueued"));
    assert.deepEqual(first.tickets.map(({ id, key, tries }) => [id, key, tries]), [[fresh, "example.org", 0]]);
    house.relay.send({ type: "outcome", id: fresh, outcome: { result: "ok", text: "250 2.0.0 done" } });
    const told = new Set<string>();
    let settled = false;
    for (let loaded = false; !loaded || !settled;) {
      const heard = await house.scheduler.next((message): message is typeof message => true);
      if (heard.type === "enqueued") { for (const { id } of heard.tickets) told.add(id); }
      if (heard.type === "settled") settled = heard.id === fresh;
      if (heard.type === "loaded") loaded = true;
    }
    assert.equal(told.size, COUNT - 1);
  } finally {
    house.stop();
    await Deno.remove(spool, { recursive: true });
  }
});
