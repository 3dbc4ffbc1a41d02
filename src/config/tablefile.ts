/** Static tables: the file format of table(5), keys and their order. Works on bytes and reads no file itself; also used to reload a table. */

import { ipVersion } from "../net/mod.ts";
import { LANGUAGE_LIMITS } from "./limits.ts";
import type { StaticTable } from "./types.ts";

export type TableScan =
  | { readonly ok: true; readonly kind: StaticTable["kind"] }
  /** `line` is null when the fault is of the file as a whole. */
  | { readonly ok: false; readonly line: number | null; readonly message: string };

export interface TableLine {
  readonly key: string;
  /** Null when nothing follows the key. */
  readonly value: string | null;
}

/** Where the parts of a line stand in the bytes; the value is empty when nothing follows the key. */
interface Split {
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

const TAB = 0x09, NEWLINE = 0x0a, RETURN = 0x0d, SPACE = 0x20, HASH = 0x23, COLON = 0x3a, OPEN = 0x5b, CLOSE = 0x5d;

const MAP_ENTRY = 'an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)';

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

/**
 * One line `key value`, `key: value` or `key`; a key that starts with `[` goes to its `]`, and an IPv6 address keeps its colons. Null when
 * malformed.
 */
export function splitTableLine(line: string): TableLine | null {
  const bytes = new TextEncoder().encode(line);
  const split = splitBytes(bytes, 0, bytes.length);
  if (split === null) return null;
  const text = (start: number, end: number) => new TextDecoder().decode(bytes.subarray(start, end));
  const { keyEnd, valueStart, valueEnd } = split;
  return { key: text(0, keyEnd), value: valueStart < valueEnd ? text(valueStart, valueEnd) : null };
}

function splitBytes(bytes: Uint8Array, start: number, end: number): Split | null {
  let at = start;
  if (bytes[start] === OPEN) {
    while (at < end && bytes[at] !== CLOSE) at++;
    if (at === end) return null;
    at++;
    if (at < end && !isBlank(bytes[at]!) && bytes[at] !== COLON) return null;
  } else {
    at = ipv6End(bytes, start, end);
    while (at < end && bytes[at] !== SPACE && bytes[at] !== TAB && bytes[at] !== COLON) at++;
  }
  if (at === start) return null;
  if (at === end) return { keyEnd: at, valueStart: end, valueEnd: end };
  let valueStart = skipBlanks(bytes, at + 1, end);
  const valueEnd = trimEnd(bytes, valueStart, end);
  // OpenSMTPD would keep the colon of "key : value" in the value. A value such as ":include:/path" keeps its own.
  const colon = bytes[at] !== COLON && valueStart < valueEnd && bytes[valueStart] === COLON;
  if (colon && (valueStart + 1 === valueEnd || bytes[valueStart + 1] === SPACE || bytes[valueStart + 1] === TAB)) {
    valueStart = skipBlanks(bytes, valueStart + 1, valueEnd);
  }
  return { keyEnd: at, valueStart, valueEnd };
}

/** The end of an IPv6 address or network without brackets that a line begins with, of which its colons are part; `start` when there is none. */
function ipv6End(bytes: Uint8Array, start: number, end: number): number {
  let at = start, colons = 0;
  for (; at < end && isIpv6Byte(bytes[at]!); at++) if (bytes[at] === COLON) colons++;
  if (colons < 2 || (at < end && !isBlank(bytes[at]!))) return start;
  const text = new TextDecoder().decode(bytes.subarray(start, at));
  if (isIpv6(text)) return at;
  // `2001:db8::1: value`
  return text.endsWith(":") && isIpv6(text.slice(0, -1)) ? at - 1 : start;
}

/** Hexadecimal digits, `:`, `.` and `/`. */
function isIpv6Byte(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x2e && byte <= 0x3a) || (letter >= 0x61 && letter <= 0x66);
}

function isIpv6(text: string): boolean {
  const [, address = "", mask] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  return ipVersion(address) === 6 && (mask === undefined || Number(mask) <= 128);
}

/**
 * Reads a table file: one entry a line, `#` comments on lines of their own. `entry` gets the places of each key and value in `bytes`, as
 * written; of two with one key the last is to stand. The first entry decides between list and map, unless `# @list` stands before it.
 */
export function scanTableFile(bytes: Uint8Array, entry: EntryHandler): TableScan {
  const steps = scanTableSteps(bytes, entry);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

type EntryHandler = (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void;
/** Lines of one step: some tens of microseconds. */
const STEP_LINES = 256;

/** The same in steps, for callers that must not block meanwhile. */
export function* scanTableSteps(bytes: Uint8Array, entry: EntryHandler): Generator<undefined, TableScan> {
  if (bytes.length > LANGUAGE_LIMITS.tableFileBytes) return { ok: false, line: null, message: "file is too large" };
  let kind: StaticTable["kind"] | null = null;
  for (let line = 1, next = 0; next <= bytes.length; line++) {
    if (line % STEP_LINES === 0) yield;
    const newline: number = bytes.indexOf(NEWLINE, next);
    const stop: number = newline < 0 ? bytes.length : newline;
    const start = skipBlanks(bytes, next, stop);
    const end = trimEnd(bytes, start, stop);
    next = stop + 1;
    if (start === end) continue;
    if (bytes[start] === HASH) {
      if (kind === null && isListMark(bytes, start, end)) kind = "list";
      continue;
    }
    const split: Split | null = kind === "list"
      ? { keyEnd: end, valueStart: end, valueEnd: end }
      : splitBytes(bytes, start, end);
    if (split === null) return { ok: false, line, message: MAP_ENTRY };
    const { keyEnd, valueStart, valueEnd }: Split = split;
    // A list entry may hold blanks or colons only when the first one made it a list.
    kind ??= keyEnd === end ? "list" : "map";
    if (kind === "map" && valueStart === valueEnd) return { ok: false, line, message: MAP_ENTRY };
    if (keyEnd - start > LANGUAGE_LIMITS.tableKey) return { ok: false, line, message: "key is too long" };
    entry(start, keyEnd, valueStart, valueEnd);
  }
  return { ok: true, kind: kind ?? "map" };
}

function isListMark(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start < 80 && /^#[ \t]*@list$/.test(new TextDecoder().decode(bytes.subarray(start, end)));
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === RETURN;
}

function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  while (start < end && isBlank(bytes[start]!)) start++;
  return start;
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  while (end > start && isBlank(bytes[end - 1]!)) end--;
  return end;
}

const SLASH = 0x2f;

/** Returns whether the octets from `start` to `end` may name an include file: `:include:/path` has a `:/`. */
export function mayInclude(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start + 1; at < end; at++) if (bytes[at] === SLASH && bytes[at - 1] === COLON) return true;
  return false;
}
