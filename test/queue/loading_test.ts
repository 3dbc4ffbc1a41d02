/** Start-up of a large queue: what was never tried is sent first, and deliveries begin while the rest is read. */

import assert from "node:assert/strict";
import { type EnvelopeId, messageIdOf, type MessageNumber, messageNumber, rowOf } from "../../src/envelope/mod.ts";
import { Records } from "../../src/queue/store/records.ts";
import { Store } from "../../src/queue/store/store.ts";
import { contentFor, MTA, NOON, openQueue, typed, utf8 } from "./harness.ts";
import { msgid } from "../ids.ts";
import { Pings } from "../pings.ts";

const KEYS = { current: utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"), old: [] };
const COUNT = 3000;

/** The last message was never tried. Returns its envelope's id. */
function fill(spool: string): EnvelopeId {
  const store = new Store(spool, new Records({ keys: KEYS }));
  store.begin("synced");
  let last: EnvelopeId;
  for (let index = 1; index <= COUNT; index++) {
    const number = Math.floor(index * (2 ** 32 - 2) / COUNT) as MessageNumber;
    const content = contentFor(messageIdOf(number), MTA);
    store.addMessage(number, { bytes: 0, chunks: 0 });
    store.addEnvelope(content);
    last = content.id;
    if (index === COUNT) continue;
    const state = { tries: 3, lastTryAt: 1, lastBounceAt: 0, errorLine: "", status: null };
    store.setState(rowOf(content.id), state);
  }
  store.commit();
  store.close();
  return last!;
}

Deno.test("of a large sealed queue, what was never tried is sent first and delivered while the rest is loaded", async () => {
  const spool = await Deno.makeTempDir();
  const fresh = fill(spool);
  const harness = await openQueue(spool, { recordKeys: KEYS });
  try {
    const first = await harness.scheduler.next(typed("enqueued"));
    assert.deepEqual(first.tickets.map(({ id, lane, tries }) => [id, lane, tries]), [[fresh, "example.org", 0]]);
    harness.relay.send({ type: "outcome", id: fresh, outcome: { result: "ok", text: "250 2.0.0 done" } });
    const sent = new Set<string>();
    let settled = false;
    for (let loaded = false; !loaded || !settled;) {
      const received = await harness.scheduler.next((message): message is typeof message => true);
      if (received.type === "enqueued") { for (const { id } of received.tickets) sent.add(id); }
      if (received.type === "settled") settled = received.id === fresh;
      if (received.type === "loaded") loaded = true;
    }
    assert.equal(sent.size, COUNT - 1);
  } finally {
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("while a large queue is loaded, a message of another isolate waits for a turn or two, not for 15", async () => {
  const LOOKS_PER_TURN = 2, MESSAGES = 20;
  const spool = await Deno.makeTempDir();
  fill(spool);
  using pings = new Pings();
  let now = 0, looks = 0, waited = 0;
  /** Each time that it is asked for the time, the turn is over. */
  const steady = () => {
    looks++;
    if (pings.waiting) waited++;
    return now += 1000;
  };
  await pings.next();
  const harness = await openQueue(spool, { recordKeys: KEYS }, { steady });
  try {
    const before = pings.taken;
    while (pings.taken < before + MESSAGES || looks < LOOKS_PER_TURN * MESSAGES) await pings.next();
    const messages = pings.taken - before, turns = waited / LOOKS_PER_TURN;
    assert.ok(turns <= 4 * messages, `${messages} messages waited for ${turns} turns`);
  } finally {
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});

for (const keys of [null, KEYS]) {
  Deno.test(`mail of a clock that was ahead is queued at the first start, and stays so${keys ? ", encrypted" : ""}`, async () => {
    const spool = await Deno.makeTempDir();
    const content = { ...contentFor(msgid("00000007"), MTA), createdAt: NOON + 400 * 86_400_000 };
    const store = new Store(spool, new Records({ keys }));
    store.begin("synced");
    store.addMessage(messageNumber(content.id), { bytes: 0, chunks: 0 });
    store.addEnvelope(content);
    const later = content.createdAt + 5000;
    const state = { tries: 2, lastTryAt: later, lastBounceAt: later, errorLine: "450 no", status: null };
    store.setState(rowOf(content.id), state);
    store.commit();
    store.close();
    try {
      for (let start = 0; start < 2; start++) {
        const harness = await openQueue(spool, { recordKeys: keys });
        const { tickets } = await harness.scheduler.next(typed("enqueued"));
        harness.stop();
        assert.equal(tickets.length, 1);
        assert.equal(tickets[0]!.createdAt, NOON);
        const again = new Store(spool, new Records({ keys }));
        const { createdAt, lastTryAt, lastBounceAt, tries, errorLine } = again.envelope(rowOf(content.id))!;
        again.close();
        assert.deepEqual(
          { createdAt, lastTryAt, lastBounceAt, tries, errorLine },
          { createdAt: NOON, lastTryAt: NOON, lastBounceAt: NOON + 5000, tries: 2, errorLine: "450 no" },
        );
      }
    } finally {
      await Deno.remove(spool, { recursive: true });
    }
  });
}
