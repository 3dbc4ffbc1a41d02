/** The check of the tree of an expansion, which has bounds of its own. */

import {
  MAX_ROUTED_CHARS,
  MAX_ROUTED_LEVELS,
  MAX_ROUTED_NODES,
  type Routed,
  ROUTED_BY,
  ROUTED_GOALS,
  ROUTED_RESULTS,
  type RoutedGoal,
} from "../envelope/mod.ts";
import { type Check, type Fields, nullOr, oneOf, optional, record, text, whole } from "./check.ts";

const short = text(MAX_ROUTED_CHARS);

export const ROUTED_GOAL_FIELDS: Fields<RoutedGoal> = {
  kind: oneOf(...ROUTED_GOALS),
  user: optional(short),
  text: short,
};
/** All but the children. */
export const ROUTED_FIELDS: Fields<Omit<Routed, "children">> = {
  address: short,
  how: oneOf(...ROUTED_BY),
  table: optional(short),
  rule: nullOr(record<NonNullable<Routed["rule"]>>({ file: short, line: whole() })),
  result: oneOf(...ROUTED_RESULTS),
  action: optional(short),
  goal: optional(record<RoutedGoal>(ROUTED_GOAL_FIELDS)),
  reason: optional(short),
  more: optional(whole()),
};
/** One check for addresses, one for what stands below them, and one for ends: each looks fast at what has the fields of the last one. */
const addressNode = record<Omit<Routed, "children">>(ROUTED_FIELDS);
const innerNode = record<Omit<Routed, "children">>(ROUTED_FIELDS);
const endNode = record<Omit<Routed, "children">>(ROUTED_FIELDS);

function nodeFault(node: unknown): string | null {
  const { goal, rule } = (node ?? {}) as { readonly goal?: unknown; readonly rule?: unknown };
  return (goal !== undefined ? endNode : rule === null ? innerNode : addressNode)(node);
}

/** A tree with bounds of its own: one that is too deep, or has too many nodes, is refused before all of it was looked at. */
export const routed: Check<Routed> = (value) => {
  let nodes = 0;
  const look = (one: unknown, levels: number): string | null => {
    if (levels === 0) return `has more than ${MAX_ROUTED_LEVELS} levels`;
    if (++nodes > MAX_ROUTED_NODES) return `has more than ${MAX_ROUTED_NODES} nodes`;
    const fault = nodeFault(one);
    if (fault !== null) return fault;
    const { children } = one as { readonly children?: unknown };
    if (!Array.isArray(children)) return "has no list of children";
    for (const child of children) {
      const found = look(child, levels - 1);
      if (found !== null) return found;
    }
    return null;
  };
  return look(value, MAX_ROUTED_LEVELS);
};
