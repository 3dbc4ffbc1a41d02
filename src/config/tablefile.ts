/** Static tables: the file format of table(5), keys and their order. Reads no file itself; also used to reload a table. */

import { LANGUAGE_LIMITS } from "./defaults.ts";
import type { StaticTable } from "./types.ts";

export type TableFileResult =
  | { readonly ok: true; readonly kind: StaticTable["kind"]; readonly entries: StaticTable["entries"] }
  /** `line` is null when the fault is of the file as a whole. */
  | { readonly ok: false; readonly line: number | null; readonly message: string };

export interface TableLine {
  readonly key: string;
  /** Null when nothing follows the key. */
  readonly value: string | null;
}

/** A key as it is stored and looked up: ASCII letters in lower case, all else as it is (RFC 6531 says nothing of folding more). */
export function tableKey(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Order of the keys: by their bytes in UTF-8. Differs from the order of strings only for characters beyond U+FFFF. */
export function compareKeys(left: string, right: string): number {
  if (left === right) return 0;
  const surrogates = /[\ud800-\udfff]/;
  if (!surrogates.test(left) && !surrogates.test(right)) return left < right ? -1 : 1;
  const a = Array.from(left, (char) => char.codePointAt(0)!);
  const b = Array.from(right, (char) => char.codePointAt(0)!);
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    if (a[index] !== b[index]) return a[index]! - b[index]!;
  }
  return a.length - b.length;
}

/** Sorted entries with unique lower-case keys; of two with one key the last stands. */
export function sortEntries(entries: Iterable<readonly [string, string]>): StaticTable["entries"] {
  const unique = new Map<string, string>();
  for (const [key, value] of entries) unique.set(tableKey(key), value);
  return [...unique].sort(([left], [right]) => compareKeys(left, right));
}

/** One line `key value`, `key: value` or `key`; a key that starts with `[` goes to its `]`. Null when malformed. */
export function splitTableLine(line: string): TableLine | null {
  let end: number;
  if (line.startsWith("[")) {
    end = line.indexOf("]") + 1;
    if (end === 0) return null;
    if (end < line.length && !" \t:".includes(line[end]!)) return null;
  } else {
    end = line.search(/[ \t:]/);
    if (end < 0) end = line.length;
  }
  if (end === 0) return null;
  const key = line.slice(0, end);
  if (end === line.length) return { key, value: null };
  let value = trimBlanks(line.slice(end + 1));
  // OpenSMTPD would keep the colon of "key : value" in the value. A value such as ":include:/path" keeps its own.
  if (line[end] !== ":" && /^:([ \t]|$)/.test(value)) value = trimBlanks(value.slice(1));
  return { key, value: value === "" ? null : value };
}

/**
 * Reads the text of a table file: one entry a line, `#` comments on lines of their own.
 * The first entry decides between list and map, unless `# @list` stands before it.
 */
export function parseTableFile(text: string): TableFileResult {
  if (text.length > LANGUAGE_LIMITS.tableFileLength) return { ok: false, line: null, message: "file is too large" };
  let kind: StaticTable["kind"] | null = null;
  const entries: [string, string][] = [];
  let number = 0;
  for (const raw of text.split("\n")) {
    number++;
    const line = trimBlanks(raw);
    if (line === "") continue;
    if (line.startsWith("#")) {
      if (kind === null && /^#[ \t]*@list$/.test(line)) kind = "list";
      continue;
    }
    const split: TableLine | null = kind === "list" ? { key: line, value: null } : splitTableLine(line);
    if (split === null) return { ok: false, line: number, message: "invalid map entry" };
    // A list entry may hold blanks or colons only when the first one made it a list.
    kind ??= line.length === split.key.length ? "list" : "map";
    if (kind === "map" && split.value === null) return { ok: false, line: number, message: "invalid map entry" };
    if (split.key.length > LANGUAGE_LIMITS.tableKey) return { ok: false, line: number, message: "key is too long" };
    entries.push([split.key, split.value ?? ""]);
  }
  return { ok: true, kind: kind ?? "map", entries: sortEntries(entries) };
}

function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && " \t\r".includes(text[start]!)) start++;
  while (end > start && " \t\r".includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}
