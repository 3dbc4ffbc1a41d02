/** The clock of the machine, the only place with timers of the runtime. */

import assert from "node:assert/strict";
import { sleep, systemClock } from "../src/clock.ts";

Deno.test("systemClock.after() calls once, and not at all when it is cancelled before", async () => {
  const called: string[] = [];
  systemClock.after(0, () => called.push("cancelled"))();
  await new Promise<void>((resolve) => {
    systemClock.after(0, () => {
      called.push("first");
      resolve();
    });
  });
  await sleep(2);
  assert.deepEqual(called, ["first"]);
});

Deno.test("systemClock.every() calls again until it is cancelled", async () => {
  let calls = 0;
  await new Promise<void>((resolve) => {
    const cancel = systemClock.every(1, () => {
      if (++calls < 3) return;
      cancel();
      resolve();
    });
  });
  await sleep(5);
  assert.equal(calls, 3);
});

Deno.test("systemClock.now() is the time of day, steady() what has passed, and neither stands", async () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 60_000);
  const now = systemClock.now(), steady = systemClock.steady();
  await sleep(3);
  assert.ok(systemClock.now() > now && systemClock.steady() > steady);
});
