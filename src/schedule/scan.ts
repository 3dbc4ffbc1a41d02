/** The slots that an administrator's request means, a slice at a time. */

import { type EnvelopeId, messageNumber, rowOf } from "../envelope/mod.ts";
import type { Target } from "../protocol/mod.ts";
import type { Lanes } from "./lanes.ts";
import { AT, type EnvelopeTable, NONE, type Slot } from "./table.ts";

/** What one call does of an administrator's request: slots looked at, and slots that are meant. */
const SLICE_SCAN = 200_000;
const SLICE_VISITS = 2000;

/** A slice of the target's slots from `from` on, found by a scan: a million take milliseconds. Answers where the next slice begins. */
export function eachSlot(
  table: EnvelopeTable,
  lanesOf: Lanes,
  target: Target,
  from: number,
  visit: (slot: Slot) => void,
): number | null {
  if (target !== "all" && "envelope" in target) {
    const slot = find(table, target.envelope);
    if (slot !== NONE) visit(slot);
    return null;
  }
  const hi = target !== "all" && "message" in target ? messageNumber(target.message) : NONE;
  const lanes = target !== "all" && "domain" in target ? lanesOf.named("mta", target.domain) : null;
  const end = Math.min(table.end, from + SLICE_SCAN);
  for (let slot = from as Slot, visited = 0; slot < end; slot++) {
    if (table.at[slot] === AT.FREE || (hi !== NONE && table.hi[slot] !== hi)) continue;
    if (lanes !== null && !lanes.has(table.laneOf(slot))) continue;
    visit(slot);
    if (++visited === SLICE_VISITS) return slot + 1;
  }
  return end < table.end ? end : null;
}

/** The slot of an envelope, NONE when it is not known. */
export function find(table: EnvelopeTable, id: EnvelopeId): Slot {
  return table.find(rowOf(id));
}
