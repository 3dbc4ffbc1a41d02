/** What waits where, for `smtpctl top`. */

import { bucketOf } from "../events/mod.ts";
import type { LaneRecord } from "../protocol/mod.ts";
import type { Lanes } from "./lanes.ts";
import { AT, type EnvelopeTable, type Lane, type Slot } from "./table.ts";

/** Returns the lanes that hold most and those that hold the oldest, `most` of each, how many there are, and the age of the oldest of all. */
export function summariseLanes(
  table: EnvelopeTable,
  lanes: Lanes,
  most: number,
): { lanes: LaneRecord[]; count: number; oldestAt: number | null } {
  const oldest = new Float64Array(lanes.end).fill(Infinity);
  for (let slot = 0 as Slot; slot < table.end; slot++) {
    if (table.at[slot] === AT.FREE) continue;
    const lane = table.lane[slot]!;
    if (table.createdAt[slot]! < oldest[lane]!) oldest[lane] = table.createdAt[slot]!;
  }
  const used: { lane: Lane; envelopes: number; oldestAt: number }[] = [];
  for (const [index, oldestAt] of oldest.entries()) {
    const lane = index as Lane;
    if (oldestAt !== Infinity) used.push({ lane, oldestAt, envelopes: lanes.size(lane) });
  }
  const byAge = used.toSorted((one, other) => one.oldestAt - other.oldestAt);
  const bySize = used.toSorted((one, other) => other.envelopes - one.envelopes || one.oldestAt - other.oldestAt);
  const shown = new Set([...bySize.slice(0, most), ...byAge.slice(0, most)]);
  return {
    lanes: Array.from(shown, ({ lane, oldestAt }) => ({ ...lanes.state(lane), oldestAt })),
    count: used.length,
    oldestAt: byAge[0]?.oldestAt ?? null,
  };
}

/** How old envelopes are: how many in each bucket between `bounds` (seconds, rising) and behind them, the sum of all ages and the age of the oldest. */
export interface Ages {
  readonly counts: readonly number[];
  /** In seconds. */
  readonly sum: number;
  /** In seconds; 0 without envelopes. */
  readonly oldest: number;
}

/** Counts the envelopes of the table by age at `now`: a scan of all, milliseconds for a million. */
export function countAges(table: EnvelopeTable, bounds: readonly number[], now: number): Ages {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  let sum = 0, oldest = 0;
  for (let slot = 0 as Slot; slot < table.end; slot++) {
    if (table.at[slot] === AT.FREE) continue;
    const age = Math.max(0, now - table.createdAt[slot]!) / 1000;
    counts[bucketOf(bounds, age)]!++;
    sum += age;
    if (age > oldest) oldest = age;
  }
  return { counts, sum, oldest };
}
