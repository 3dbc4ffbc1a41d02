/** How an isolate that delivers ends: it waits for the queue. */

import assert from "node:assert/strict";
import { type Finish, finish } from "../../src/delivery/finish.ts";
import { FakeClock } from "../fake_clock.ts";

/** One end of an isolate whose deliveries and queue do what the test says. */
function begin(replaced: boolean) {
  const clock = new FakeClock(0);
  const ended = Promise.withResolvers<void>(), arrived = Promise.withResolvers<void>();
  const seen: string[] = [];
  const parts: Finish = {
    clock,
    replaced,
    ended: ended.promise,
    cut: () => {
      seen.push(`cut at ${clock.now()}`);
      ended.resolve();
    },
    queue: {
      arrived: () => {
        seen.push(`asked at ${clock.now()}`);
        return arrived.promise;
      },
    },
  };
  const whole = finish(parts).then(() => seen.push("finished"));
  return { clock, ended, arrived, seen, whole };
}

/** Lets everything happen that waits for nothing. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("An isolate that delivers ends when the queue has its outcomes, and not before", async () => {
  const { ended, arrived, seen, whole } = begin(true);
  await settle();
  assert.deepEqual(seen, []);
  ended.resolve();
  await settle();
  assert.deepEqual(seen, ["asked at 0"]);
  arrived.resolve();
  await whole;
  assert.deepEqual(seen, ["asked at 0", "finished"]);
});

for (const [replaced, cutAt] of [[true, 50_000], [false, 2_000]] as const) {
  Deno.test(`Deliveries that still run are cut off ${cutAt / 1000} s after a ${replaced ? "replacement" : "stop"}`, async () => {
    const { clock, arrived, seen, whole } = begin(replaced);
    clock.advance(cutAt);
    await settle();
    assert.deepEqual(seen, [`cut at ${cutAt}`, `asked at ${cutAt}`]);
    arrived.resolve();
    await whole;
  });
}
