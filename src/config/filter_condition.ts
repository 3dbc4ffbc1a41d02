/** Which table the condition of a built-in filter looks into. */

import type { FilterCondition } from "./types.ts";

/** Returns the table that a condition looks into, and whether its entries are patterns; null for a condition without a table. */
export function testOf(condition: FilterCondition): { readonly regex: boolean; readonly table: string } | null {
  if (condition.kind === "fcrdns") return null;
  if ("test" in condition) return condition.test;
  return "table" in condition ? { regex: false, table: condition.table } : null;
}
