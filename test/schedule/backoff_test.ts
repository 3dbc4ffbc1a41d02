/** The times of retries, as the manual lists them. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { firstDue, nextDue } from "../../src/schedule/mod.ts";

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
