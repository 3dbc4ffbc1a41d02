/**
 * Puts one address in the place of all in a From field: users who have logged in send with their own name. Works on bytes and parses no header
 * section; see header.ts.
 */

import { scanAddressList } from "./address_list.ts";

const SPACE = 0x20, LESS = 0x3c, GREATER = 0x3e;

/** Where an address stands: from the first of its octets to behind the last. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/**
 * The addresses in the field body from `start` to `end`, in rising order: what stands in `<>`, else the words between two commas. Null for
 * what is not understood (groups, unbalanced quotes, comments and brackets, words behind `>`) and where there is none.
 */
export function addressSpans(bytes: Uint8Array, start: number, end: number): readonly Span[] | null {
  const listed = scanAddressList(bytes, start, end);
  if (listed === null || listed.some(({ odd }) => odd)) return null;
  const spans = listed.flatMap(({ plain, angle, angleFrom, angleTo }): Span[] => {
    if (angle !== null) return [{ from: angleFrom, to: angleTo }];
    return plain.from === -1 ? [] : [{ from: plain.from, to: plain.to }];
  });
  return spans.length === 0 ? null : spans;
}

/**
 * A field body in which `address` stands for every other, as `addressSpans` finds them; ` <address>` alone where that finds none or the
 * result has more than `limit` octets. Neither has the line end behind it.
 */
export function masqueraded(body: Uint8Array, address: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  const spans = addressSpans(body, 0, body.length);
  const size = (spans ?? []).reduce((sum, { from, to }) => sum - (to - from) + address.length, body.length);
  if (spans === null || size > limit) {
    const alone = new Uint8Array(address.length + 3);
    alone[0] = SPACE;
    alone[1] = LESS;
    alone.set(address, 2);
    alone[alone.length - 1] = GREATER;
    return alone;
  }
  const result = new Uint8Array(size);
  let read = 0, written = 0;
  for (const { from, to } of spans) {
    result.set(body.subarray(read, from), written);
    written += from - read;
    result.set(address, written);
    written += address.length;
    read = to;
  }
  result.set(body.subarray(read), written);
  return result;
}
