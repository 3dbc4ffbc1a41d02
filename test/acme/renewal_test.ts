/** When a certificate is renewed. */

import assert from "node:assert/strict";
import { renewalTime } from "../../src/acme/renewal.ts";

const DAY = 24 * 60 * 60_000, START = Date.now();
const LIFE = { notBefore: START, notAfter: START + 90 * DAY };

const CASES: readonly (readonly [what: string, spread: number, window: [number, number] | null, days: number])[] = [
  ["after two thirds of its life where the authority says nothing", 0, null, 60],
  ["a little later where others are to come first", 1, null, 63],
  ["where the authority says so", 0.5, [70, 72], 71],
  ["at once where the authority's window is over", 0, [-2, -1], -2],
  ["in time where the authority's window lies behind its end", 0.5, [100, 200], 81],
];

for (const [what, spread, window, days] of CASES) {
  Deno.test(`a certificate is renewed ${what}`, () => {
    const given = window === null ? null : { start: START + window[0] * DAY, end: START + window[1] * DAY };
    assert.equal((renewalTime({ ...LIFE, spread }, given) - START) / DAY, days);
  });
}
