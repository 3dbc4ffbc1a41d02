/** Finds where an address in a From, To or Cc field lacks its domain. Works on bytes and changes nothing itself; see header.ts. */

import { scanAddressList } from "./address_list.ts";

const NONE: readonly number[] = [];

/**
 * Offsets in `bytes` at which `@domain` is to be inserted, in rising order, for the field body from `start` to `end`. Empty when nothing
 * lacks a domain, and for groups and unbalanced quotes, comments or brackets: what is not understood is left alone. `<>` stays as it is.
 */
export function missingDomains(bytes: Uint8Array, start: number, end: number): readonly number[] {
  let found: number[] | null = null;
  for (const { plain, angle } of scanAddressList(bytes, start, end) ?? []) {
    const { to, hasAt } = angle ?? plain;
    if (!hasAt && to !== -1) (found ??= []).push(to);
  }
  return found ?? NONE;
}
