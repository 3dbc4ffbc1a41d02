/**
 * Puts one address in the place of all in a From field: who has logged in signs with his own name. Works on bytes and knows no header
 * section; see header.ts.
 */

const LF = 0x0a, TAB = 0x09, SPACE = 0x20, QUOTE = 0x22, OPEN = 0x28, CLOSE = 0x29, COMMA = 0x2c, COLON = 0x3a;
const SEMICOLON = 0x3b, LESS = 0x3c, GREATER = 0x3e, LEFT_BRACKET = 0x5b, BACKSLASH = 0x5c, RIGHT_BRACKET = 0x5d;

/** Where an address stands: from the first of its octets to behind the last. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What is known of the address between two commas. */
interface Element {
  angle: "none" | "open" | "closed";
  /** Behind `<`, and at `>`. */
  angleFrom: number;
  angleTo: number;
  /** Of all words that are no comment. */
  from: number;
  to: number;
}

function fresh(): Element {
  return { angle: "none", angleFrom: 0, angleTo: 0, from: -1, to: -1 };
}

/**
 * The addresses in the field body from `start` to `end`, in rising order: what stands in `<>`, else the words between two commas. Null for
 * what is not understood (groups, unbalanced quotes, comments and brackets, words behind `>`) and where there is none.
 */
export function addressSpans(bytes: Uint8Array, start: number, end: number): readonly Span[] | null {
  const spans: Span[] = [];
  let element = fresh();
  let depth = 0, quoted = false, literal = false;
  const finish = (): void => {
    if (element.angle === "closed") spans.push({ from: element.angleFrom, to: element.angleTo });
    else if (element.from !== -1) spans.push({ from: element.from, to: element.to });
    element = fresh();
  };
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    if (depth > 0) {
      if (code === BACKSLASH) at++;
      else if (code === OPEN) depth++;
      else if (code === CLOSE) depth--;
      continue;
    }
    if (quoted || literal) {
      if (code === BACKSLASH) at++;
      else if (code === (quoted ? QUOTE : RIGHT_BRACKET)) quoted = literal = false;
      element.to = at + 1;
      continue;
    }
    if (code === SPACE || code === TAB || code === LF) continue;
    if (code === OPEN) {
      depth = 1;
      continue;
    }
    if (code === COMMA && element.angle !== "open") {
      finish();
      continue;
    }
    if (code === GREATER) {
      if (element.angle !== "open") return null;
      element.angle = "closed";
      element.angleTo = at;
      continue;
    }
    if (element.angle === "closed" || code === CLOSE || code === SEMICOLON) return null;
    if (code === LESS) {
      if (element.angle === "open") return null;
      element.angle = "open";
      element.angleFrom = at + 1;
      continue;
    }
    if (code === COLON && element.angle !== "open") return null;
    if (code === QUOTE) quoted = true;
    else if (code === LEFT_BRACKET) literal = true;
    if (element.from === -1) element.from = at;
    element.to = at + 1;
  }
  if (depth > 0 || quoted || literal || element.angle === "open") return null;
  finish();
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
