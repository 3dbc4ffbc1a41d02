/** Aliases that lead back to themselves and nowhere else: their mail would be refused (see src/rules/expand.ts). Pure. */

import { tableKey } from "../config/tablefile.ts";
import { parseTargets } from "../tables/mod.ts";
import type { Entry } from "./entries.ts";

/** Larger tables are not followed. */
const MAX_ENTRIES = 100_000;

/** The entries of a table of aliases that reach no user, address, file or command, whatever way their mail goes. */
export function loopingAliases(entries: readonly Entry[], delimiter: string): Entry[] {
  if (entries.length > MAX_ENTRIES) return [];
  const byKey = new Map(entries.map((entry) => [tableKey(entry.key), entry]));
  const names = new Map<string, readonly string[]>();
  for (const [key, { value }] of byKey) {
    const found = onlyNames(value);
    if (found !== null) names.set(key, found.map((name) => keyOf(name, byKey, delimiter)));
  }
  // What is left when everything that leads out is taken away, again and again.
  for (let before = -1; before !== names.size;) {
    before = names.size;
    for (const [key, targets] of names) {
      if (targets.some((target) => target === key || !names.has(target))) names.delete(key);
    }
  }
  return [...names.keys()].map((key) => byKey.get(key)!);
}

/** The names that a value consists of; null when there is anything else in it, or nothing. */
function onlyNames(value: string): string[] | null {
  const { valid, targets } = parseTargets(value);
  const names = targets.flatMap((target) => target.type === "user" ? [tableKey(target.name)] : []);
  return valid && names.length > 0 && names.length === targets.length ? names : null;
}

/** A name with a tag is looked up as it stands, then without. */
function keyOf(name: string, byKey: ReadonlyMap<string, Entry>, delimiter: string): string {
  if (byKey.has(name)) return name;
  const tag = name.indexOf(delimiter);
  return tag > 0 ? name.slice(0, tag) : name;
}
