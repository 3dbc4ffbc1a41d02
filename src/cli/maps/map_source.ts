/** The text that makemap(8) and newaliases(8) read: keys and values by line, checked by the type of the map. Pure. */

import { LANGUAGE_LIMITS } from "../../config/limits.ts";
import { splitTableLine, tableKey } from "../../config/tablefile.ts";
import { targetFault } from "../../tables/mod.ts";

export type MapType = "plain" | "aliases" | "set";

export interface MapEntry {
  readonly key: string;
  readonly value: string;
}

/** All is well, or the mistakes in their order: `line` counts from 1. */
export type MapSource =
  | { readonly ok: true; readonly entries: readonly MapEntry[] }
  | { readonly ok: false; readonly faults: readonly { readonly line: number; readonly message: string }[] };

/** Mistakes that are printed; the rest is left out. */
const MAX_FAULTS = 50;

/** Value of every key of a set. */
const SET_VALUE = "<set>";

/**
 * Reads the source of a map. Keys come in lower case; a key that stands twice is a mistake. A key ends at the first `delimiter`, and without one (null) at a
 * blank or a colon.
 */
export function parseMapSource(text: string, type: MapType, delimiter: string | null = null): MapSource {
  const entries = new Map<string, string>();
  const faults: { line: number; message: string }[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const entry = delimiter === null ? readLine(line, type) : splitAt(line, delimiter);
    const fault = typeof entry === "string"
      ? entry
      : entry.key.length > LANGUAGE_LIMITS.tableKey
      ? "key is too long"
      : entries.has(entry.key)
      ? `duplicate entry for ${entry.key}`
      : null;
    if (fault !== null) faults.push({ line: index + 1, message: fault });
    else if (typeof entry !== "string") entries.set(entry.key, entry.value);
    if (faults.length === MAX_FAULTS) break;
  }
  if (faults.length > 0) return { ok: false, faults };
  return { ok: true, entries: [...entries].map(([key, value]) => ({ key, value })) };
}

/** The same for values of any text behind a delimiter. */
function splitAt(line: string, delimiter: string): MapEntry | string {
  const at = line.indexOf(delimiter);
  const key = line.slice(0, at).trim(), value = line.slice(at + 1).trim();
  return at < 1 || value === "" ? "invalid entry" : { key: tableKey(key), value };
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
