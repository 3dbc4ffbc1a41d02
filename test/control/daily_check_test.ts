/** When the daemon checks its host by itself. */

import { deepEqual, equal } from "node:assert/strict";
import { checkDaily } from "../../src/control/daily_check.ts";
import { FakeClock } from "../fake_clock.ts";

const MINUTE = 60_000, HOUR = 60 * MINUTE;

async function harness(lastAt: number | null, random = 0) {
  const clock = new FakeClock();
  const checked: number[] = [], warnings: string[] = [];
  const begun = clock.now();
  let fails = false;
  const stop = checkDaily({
    clock,
    random: () => random,
    lastAt: () => Promise.resolve(lastAt === null ? null : begun + lastAt),
    check: () => {
      checked.push((clock.now() - begun) / MINUTE);
      return fails ? Promise.reject(new Error("broken")) : Promise.resolve();
    },
    warn: (text) => void warnings.push(text),
  });
  const settle = async () => {
    for (let turns = 0; turns < 10; turns++) await Promise.resolve();
  };
  await settle();
  return {
    checked,
    warnings,
    stop,
    fail: () => fails = true,
    advance: async (ms: number) => {
      clock.advance(ms);
      await settle();
    },
  };
}

Deno.test("the first check is some time after the start, the next about a day later", async () => {
  const { checked, advance } = await harness(null);
  await advance(10 * MINUTE - 1);
  deepEqual(checked, []);
  await advance(1);
  deepEqual(checked, [10]);
  await advance(23.5 * HOUR);
  deepEqual(checked, [10, 10 + 23.5 * 60]);
});

Deno.test("hosts that start together check at different times", async () => {
  const { checked, advance } = await harness(null, 0.5);
  await advance(10 * MINUTE);
  deepEqual(checked, []);
  await advance(10 * MINUTE);
  deepEqual(checked, [20]);
});

Deno.test("a new start does not check again before a day is over, and a clock that went back puts nothing off for ever", async () => {
  const recent = await harness(-20 * HOUR);
  await recent.advance(3.5 * HOUR - 1);
  deepEqual(recent.checked, []);
  await recent.advance(1);
  equal(recent.checked.length, 1);
  const ahead = await harness(1000 * HOUR);
  await ahead.advance(23.5 * HOUR);
  equal(ahead.checked.length, 1);
});

Deno.test("a check that fails is reported, and tried again the next day; none comes after the end", async () => {
  const { checked, warnings, fail, stop, advance } = await harness(null);
  fail();
  await advance(10 * MINUTE);
  deepEqual(warnings, ["warn: check: it failed: broken"]);
  await advance(23.5 * HOUR);
  equal(checked.length, 2);
  stop();
  await advance(48 * HOUR);
  equal(checked.length, 2);
});
