/** The times of retries, as the manual lists them. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { firstDue, nextDue, RETRY_MINUTES } from "../../src/schedule/mod.ts";

Deno.test("nextDue() retries a relay at n² · 400 s when attempts fail at once", () => {
  let now = 0;
  const seen: number[] = [];
  for (let tries = 1; tries <= 6; tries++) seen.push((now = nextDue("mta", { createdAt: 0, tries, now })) / 1000);
  assert.deepEqual(seen, [400, 1600, 3600, 6400, 10000, 14400]);
});

Deno.test("nextDue() retries a local delivery at n² · 10 s", () => {
  let now = 0;
  const seen: number[] = [];
  for (let tries = 1; tries <= 4; tries++) seen.push((now = nextDue("mda", { createdAt: 0, tries, now })) / 1000);
  assert.deepEqual(seen, [10, 40, 90, 160]);
});

Deno.test("nextDue() skips the times that passed while an attempt ran", () => {
  assert.equal(nextDue("mta", { createdAt: 0, tries: 1, now: 5_000_000 }), 6_400_000);
});

Deno.test("nextDue() is the first n² · base after now with n ≥ tries", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 4e9 }), (tries, age) => {
    const due = nextDue("mta", { createdAt: 1000, tries, now: 1000 + age });
    const n = Math.round(Math.sqrt((due - 1000) / 400_000));
    assert.equal(due, 1000 + 400_000 * n * n);
    assert.ok(due > 1000 + age && n >= tries);
    assert.ok(n === tries || 1000 + 400_000 * (n - 1) ** 2 <= 1000 + age);
  }));
});

Deno.test("firstDue() makes new mail due at once, and takes retries up where they stood", () => {
  assert.equal(firstDue("mta", { createdAt: 5000, tries: 0 }), 5000);
  assert.equal(firstDue("mta", { createdAt: 5000, tries: 3 }), 5000 + 3_600_000);
  assert.equal(firstDue("bounce", { createdAt: 5000, tries: 2 }), 5000 + 40_000);
});

Deno.test("nextDue() waits as long after the attempt as the class of the failure says, for relays alone", () => {
  for (const [name, minutes] of Object.entries(RETRY_MINUTES)) {
    const retryClass = name as keyof typeof RETRY_MINUTES;
    for (let tries = 1; tries <= 10; tries++) {
      const wait = (minutes[tries - 1] ?? minutes.at(-1)!) * 60_000;
      assert.equal(nextDue("mta", { createdAt: 0, tries, now: 7_000, retryClass }), 7_000 + wait, `${name} ${tries}`);
      const later = { createdAt: 0, tries, retryClass, lastTryAt: 7_000 };
      assert.equal(firstDue("mta", later), 7_000 + wait, "after a restart too");
      assert.equal(nextDue("mda", { createdAt: 0, tries, now: 0, retryClass }), 10_000 * tries * tries);
    }
  }
});

Deno.test("a host that greylists is asked again sooner, one that is full or blocks later than by the quadratic back-off", () => {
  const ages = (retryClass?: keyof typeof RETRY_MINUTES) => {
    const seen: number[] = [];
    let now = 0;
    for (let tries = 1; tries <= 4; tries++) {
      seen.push((now = nextDue("mta", { createdAt: 0, tries, now, retryClass })) / 60_000);
    }
    return seen.map(Math.floor);
  };
  assert.deepEqual(ages(), [6, 26, 60, 106]);
  assert.deepEqual(ages("greylisted"), [5, 10, 20, 35]);
  assert.deepEqual(ages("rate"), [15, 45, 105, 225]);
  assert.deepEqual(ages("reputation"), [30, 90, 210, 450]);
  assert.deepEqual(ages("mailbox-full"), [60, 180, 420, 780]);
});
