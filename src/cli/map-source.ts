/** The text that makemap(8) and newaliases(8) read: keys and values by line, checked by the type of the map. Pure. */

import { LANGUAGE_LIMITS, splitTableLine, tableKey } from "../config/mod.ts";
import { targetFault } from "../tables/mod.ts";

export type MapType = "plain" | "aliases" | "set";

export interface MapEntry {
  readonly key: string;
  readonly value: string;
}

/** All is well, or the first mistake: `line` counts from 1. */
export type MapSource =
  | { readonly ok: true; readonly entries: readonly MapEntry[] }
  | { readonly ok: false; readonly line: number; readonly message: string };

/** Value of every key of a set. */
const SET_VALUE = "<set>";

/** Reads the source of a map. Keys come in lower case; a key that stands twice is a mistake. */
export function parseMapSource(text: string, type: MapType): MapSource {
  const entries = new Map<string, string>();
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const wrong = (message: string) => ({ ok: false, line: index + 1, message } as const);
    const entry = readLine(line, type);
    if (typeof entry === "string") return wrong(entry);
    if (entry.key.length > LANGUAGE_LIMITS.tableKey) return wrong("key is too long");
    if (entries.has(entry.key)) return wrong(`duplicate entry for ${entry.key}`);
    entries.set(entry.key, entry.value);
  }
  return { ok: true, entries: [...entries].map(([key, value]) => ({ key, value })) };
}

/** What the line says, or why it says nothing. */
function readLine(line: string, type: MapType): MapEntry | string {
  if (type === "set") return { key: tableKey(line), value: SET_VALUE };
  const split = splitTableLine(line);
  if (split === null || split.value === null) return "invalid entry";
  const fault = type === "aliases" ? targetFault(split.value) : null;
  if (fault !== null) return `invalid entry: ${fault}`;
  return { key: tableKey(split.key), value: split.value };
}
