/** What a table is made of, whatever keeps it. Compares nothing but equal keys. */

import type { LookupError } from "./error.ts";

/** Keys, in lower case, and their values; the value of a list's entry is "". */
export interface Entries {
  /** Null when it is not known without reading them all. */
  readonly size: number | null;
  has(key: string): boolean | LookupError;
  get(key: string): string | null | LookupError;
  /** All keys. Throws DbDamaged when they are of a damaged file. */
  keys(): Iterable<string>;
  /** All values, in no order. Throws as keys() does. */
  values(): Iterable<string>;
  /** Key number `index` of an order that stays; null behind the last one. */
  keyAt(index: number): string | null | LookupError;
  /** The keys that may stand for more than themselves: see mayBePattern(). Throws DbDamaged as keys() does. */
  patterns(): Iterable<string>;
}

const DIGIT_0 = 0x30, DIGIT_9 = 0x39, DOT = 0x2e;
/** `*` of domains and addresses; `/`, `:`, `[` and `!` of networks. */
const MARKS = new Set([0x2a, 0x2f, 0x3a, 0x5b, 0x21]);

/** May this key match others than its equal? It has a wildcard or looks like an IP address or network. Every regular expression may too. */
export function mayBePattern(bytes: Uint8Array, start: number, end: number): boolean {
  let numbers = true;
  for (let at = start; at < end; at++) {
    const octet = bytes[at]!;
    if (MARKS.has(octet)) return true;
    if (octet !== DOT && (octet < DIGIT_0 || octet > DIGIT_9)) numbers = false;
  }
  return numbers;
}
