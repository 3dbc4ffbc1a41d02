/** Finds where an address in a From, To or Cc field lacks its domain. Works on bytes and changes nothing itself; see header.ts. */

const QUOTE = 0x22, OPEN = 0x28, CLOSE = 0x29, COMMA = 0x2c, COLON = 0x3a, LESS = 0x3c;
const GREATER = 0x3e, AT = 0x40, LEFT_BRACKET = 0x5b, BACKSLASH = 0x5c, RIGHT_BRACKET = 0x5d;

const NONE: readonly number[] = [];

/** What is known of the address between two commas. */
interface Element {
  /** Behind the last character that is neither blank nor comment; -1 for none. */
  end: number;
  hasAt: boolean;
  angle: "none" | "open" | "closed";
  /** The same two for what stands in `<>`. */
  angleEnd: number;
  angleHasAt: boolean;
}

function fresh(): Element {
  return { end: -1, hasAt: false, angle: "none", angleEnd: -1, angleHasAt: false };
}

/** Where `@domain` belongs in a finished element, -1 for nowhere. `<>` stays as it is. */
function insertion(element: Element): number {
  if (element.angle === "closed") return element.angleHasAt ? -1 : element.angleEnd;
  return element.hasAt ? -1 : element.end;
}

/**
 * Offsets in `bytes` at which `@domain` is to be inserted, in rising order, for the field body from `start` to `end`. Empty when nothing
 * lacks a domain, and for groups and unbalanced quotes, comments or brackets: what is not understood is left alone.
 */
export function missingDomains(bytes: Uint8Array, start: number, end: number): readonly number[] {
  let found: number[] | null = null;
  let element = fresh();
  let depth = 0;
  let quoted = false;
  let literal = false;
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    if (code === BACKSLASH && (quoted || depth > 0)) {
      at++;
      if (quoted) mark(element, at + 1);
      continue;
    }
    if (depth > 0) {
      if (code === OPEN) depth++;
      else if (code === CLOSE) depth--;
      continue;
    }
    if (quoted || literal) {
      if (quoted ? code === QUOTE : code === RIGHT_BRACKET) quoted = literal = false;
      mark(element, at + 1);
      continue;
    }
    if (code === 0x20 || code === 0x09 || code === 0x0a) continue;
    if (code === OPEN) {
      depth = 1;
      continue;
    }
    if (code === COMMA && element.angle !== "open") {
      const place = insertion(element);
      if (place !== -1) (found ??= []).push(place);
      element = fresh();
      continue;
    }
    if (code === COLON && element.angle !== "open") return NONE;
    if (code === CLOSE) return NONE;
    if (code === LESS) {
      if (element.angle !== "none") return NONE;
      element.angle = "open";
      continue;
    }
    if (code === GREATER) {
      if (element.angle !== "open") return NONE;
      element.angle = "closed";
      continue;
    }
    if (code === QUOTE) quoted = true;
    else if (code === LEFT_BRACKET) literal = true;
    else if (code === AT) {
      if (element.angle === "open") element.angleHasAt = true;
      else element.hasAt = true;
    }
    mark(element, at + 1);
  }
  if (depth > 0 || quoted || literal || element.angle === "open") return NONE;
  const place = insertion(element);
  if (place !== -1) (found ??= []).push(place);
  return found ?? NONE;
}

function mark(element: Element, end: number): void {
  if (element.angle === "open") element.angleEnd = end;
  else if (element.angle === "none") element.end = end;
}
