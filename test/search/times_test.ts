/** Points in time as people type them. */

import assert from "node:assert/strict";
import { parseTime } from "../../src/search/mod.ts";

/** A Wednesday afternoon, in local time. */
const NOW = new Date(2026, 6, 15, 14, 30, 20, 500).getTime();
const local = (month: number, day: number, hours = 0, minutes = 0, seconds = 0, ms = 0) =>
  new Date(2026, month - 1, day, hours, minutes, seconds, ms).getTime();

const TIMES: readonly (readonly [text: string, since: number | null, until: number | null])[] = [
  ["now", NOW, NOW],
  ["2h", NOW - 7_200_000, NOW - 7_200_000],
  ["3d", NOW - 3 * 86_400_000, NOW - 3 * 86_400_000],
  ["1d12h", NOW - 129_600_000, NOW - 129_600_000],
  ["90m", NOW - 5_400_000, NOW - 5_400_000],
  ["45s", NOW - 45_000, NOW - 45_000],
  ["2w", NOW - 14 * 86_400_000, NOW - 14 * 86_400_000],
  ["today", local(7, 15), local(7, 16) - 1],
  ["Yesterday", local(7, 14), local(7, 15) - 1],
  ["9:05", local(7, 15, 9, 5), local(7, 15, 9, 6) - 1],
  ["2026-07-01", local(7, 1), local(7, 2) - 1],
  ["2026-06-30 14:00", local(6, 30, 14), local(6, 30, 14, 1) - 1],
  ["2026-06-30T14:00", local(6, 30, 14), local(6, 30, 14, 1) - 1],
  ["2026-06-30 14:00:07", local(6, 30, 14, 0, 7), local(6, 30, 14, 0, 7)],
  ["2026-06-30T14:00:07Z", Date.UTC(2026, 5, 30, 14, 0, 7), Date.UTC(2026, 5, 30, 14, 0, 7)],
  ["2026-06-30T14:00:07.25+02:00", Date.UTC(2026, 5, 30, 12, 0, 7, 250), Date.UTC(2026, 5, 30, 12, 0, 7, 250)],
  ["2026-06-30t14:00:07-0530", Date.UTC(2026, 5, 30, 19, 30, 7), Date.UTC(2026, 5, 30, 19, 30, 7)],
  ["2026-02-29", null, null],
  ["2026-13-01", null, null],
  ["2026-06-30 25:00", null, null],
  ["24:00", null, null],
  ["2y", null, null],
  ["h", null, null],
  ["-2h", null, null],
  ["tomorrow", null, null],
  ["30.06.2026", null, null],
  ["", null, null],
];

for (const [text, since, until] of TIMES) {
  Deno.test(`the time "${text}"`, () => {
    assert.equal(parseTime(text, { now: NOW, edge: "since" }), since);
    assert.equal(parseTime(text, { now: NOW, edge: "until" }), until);
  });
}
