/**
 * Scans the addresses of a From, To or Cc field, RFC 5322 §3.4, for complete.ts and masquerade.ts. Works on bytes and decides nothing. The
 * lists that people give to sendmail are read in src/cli/sendmail/addresses.ts on purpose: there groups are taken, and mistakes explained.
 */

const TAB = 0x09, LF = 0x0a, SPACE = 0x20, QUOTE = 0x22, OPEN = 0x28, CLOSE = 0x29, COMMA = 0x2c, COLON = 0x3a;
const SEMICOLON = 0x3b,
  LESS = 0x3c,
  GREATER = 0x3e,
  AT = 0x40,
  LEFT_BRACKET = 0x5b,
  BACKSLASH = 0x5c,
  RIGHT_BRACKET = 0x5d;

/** A run of octets that are neither blanks nor comments, from the first to behind the last. */
export interface Words {
  /** -1 for none. */
  from: number;
  /** -1 for none. */
  to: number;
  hasAt: boolean;
}

/** What stands between two commas. */
export interface ListedAddress {
  /** Outside of `<>`, and in front of them. */
  readonly plain: Words;
  /** In `<>`; null where there are none. */
  readonly angle: Words | null;
  /** Behind `<`, and at `>`. */
  readonly angleFrom: number;
  readonly angleTo: number;
  /** Something stands behind `>`, or a semicolon somewhere: not all of it was understood. */
  readonly odd: boolean;
}

type Place = "plain" | "angle" | "behind";

class Element implements ListedAddress {
  readonly plain: Words = { from: -1, to: -1, hasAt: false };
  angle: Words | null = null;
  angleFrom = -1;
  angleTo = -1;
  odd = false;
  place: Place = "plain";

  /** The octet at `at` belongs to it. */
  add(at: number): void {
    if (this.place === "behind") this.odd = true;
    const words = this.place === "angle" ? this.angle : this.place === "plain" ? this.plain : null;
    if (words === null) return;
    if (words.from === -1) words.from = at;
    words.to = at + 1;
  }

  sawAt(): void {
    if (this.place === "angle") this.angle!.hasAt = true;
    else if (this.place === "plain") this.plain.hasAt = true;
  }

  /** Takes `<` or `>` at `at`. False: it is out of place. */
  bracket(code: typeof LESS | typeof GREATER, at: number): boolean {
    const opens = code === LESS;
    if (this.place !== (opens ? "plain" : "angle")) return false;
    this.place = opens ? "angle" : "behind";
    if (opens) {
      this.angle = { from: -1, to: -1, hasAt: false };
      this.angleFrom = at + 1;
    } else this.angleTo = at;
    return true;
  }
}

/**
 * Returns what stands between the commas of the field body from `start` to `end`, in order; null for groups and for unbalanced quotes,
 * comments or brackets. Offsets are those of `bytes`. Never throws.
 */
export function scanAddressList(bytes: Uint8Array, start: number, end: number): readonly ListedAddress[] | null {
  const found: ListedAddress[] = [];
  let element = new Element();
  let comments = 0;
  /** What ends the quoted string or the literal; 0 outside of them. */
  let closer = 0;
  for (let at = start; at < end; at++) {
    const code = bytes[at]!;
    if (comments > 0) {
      if (code === BACKSLASH) at++;
      else if (code === OPEN) comments++;
      else if (code === CLOSE) comments--;
    } else if (closer !== 0) {
      if (code === closer) closer = 0;
      else if (code === BACKSLASH) at++;
      element.add(at);
    } else if (code === SPACE || code === TAB || code === LF) continue;
    else if (code === OPEN) comments = 1;
    else if (code === COMMA && element.place !== "angle") {
      found.push(element);
      element = new Element();
    } else if (code === LESS || code === GREATER) {
      if (!element.bracket(code, at)) return null;
    } else if (code === CLOSE || code === COLON && element.place !== "angle") return null;
    else {
      if (code === QUOTE) closer = QUOTE;
      else if (code === LEFT_BRACKET) closer = RIGHT_BRACKET;
      else if (code === AT) element.sawAt();
      else if (code === SEMICOLON) element.odd = true;
      element.add(at);
    }
  }
  if (comments > 0 || closer !== 0 || element.place === "angle") return null;
  found.push(element);
  return found;
}
