/**
 * The two canonical forms of a body, RFC 6376 §3.4.3 and §3.4.4, as it streams by. Takes lines that end with LF and gives them with CRLF. A loop
 * over the octets, on purpose: per line, `indexOf` and `set` cost as much as some 80 octets of it, and twenty times as much where lines are short,
 * which a sender may choose.
 */

export type Canonicalization = "simple" | "relaxed";

const TAB = 0x09, LF = 0x0a, CR = 0x0d, SPACE = 0x20;

/** Octets that are taken at once. Twice as many and the end of one line can leave. */
const PIECE_OCTETS = 65536;
/** What is made leaves before the next call returns: all bodies share it. */
const BUFFER = new Uint8Array(2 * PIECE_OCTETS + 2);
const LINE_ENDS = new Uint8Array(8192).map((_, at) => at % 2 === 0 ? CR : LF);

export class BodyCanonicalizer {
  readonly #relaxed: boolean;
  readonly #take: (octets: Uint8Array) => void;
  /** Line ends that only count when something follows: empty lines at the end of a body are no part of it. */
  #lineEnds = 0;
  /** Blanks that only count when the line goes on. */
  #blank = false;
  #empty = true;

  /** What comes out is passed to `take` at once, in a buffer that is used again. */
  constructor(form: Canonicalization, take: (octets: Uint8Array) => void) {
    this.#relaxed = form === "relaxed";
    this.#take = take;
  }

  /** The next octets of the body, any number of them. */
  update(octets: Uint8Array): void {
    for (let start = 0; start < octets.length; start += PIECE_OCTETS) {
      const piece = octets.subarray(start, start + PIECE_OCTETS);
      const length = this.#relaxed ? this.#relax(piece) : this.#copy(piece);
      if (length > 0) this.#take(BUFFER.subarray(0, length));
    }
  }

  /** The body ends. What lacks a line end gets one; of an empty body one is left by the simple form, and nothing by the relaxed. */
  finish(): void {
    if (!this.#empty || !this.#relaxed) this.#take(LINE_ENDS.subarray(0, 2));
  }

  #copy(piece: Uint8Array): number {
    const buffer = BUFFER, length = piece.length;
    let end = length;
    while (end > 0 && piece[end - 1] === LF) end--;
    if (end > 0) this.#flushLineEnds();
    let at = 0;
    for (let from = 0; from < end; from++) {
      const octet = piece[from]!;
      if (octet === LF) buffer[at++] = CR;
      buffer[at++] = octet;
    }
    this.#lineEnds += length - end;
    return at;
  }

  #relax(piece: Uint8Array): number {
    const buffer = BUFFER, length = piece.length;
    let blank = this.#blank, lineEnds = 0, at = 0;
    for (let from = 0; from < length; from++) {
      const octet = piece[from]!;
      if (octet <= SPACE) {
        if (octet === SPACE || octet === TAB) {
          blank = true;
          continue;
        }
        if (octet === LF) {
          blank = false;
          lineEnds++;
          continue;
        }
      }
      // Those of earlier pieces may be too many for the buffer; nothing stands in it yet.
      if (at === 0) this.#flushLineEnds();
      for (; lineEnds > 0; lineEnds--) {
        buffer[at++] = CR;
        buffer[at++] = LF;
      }
      if (blank) {
        buffer[at++] = SPACE;
        blank = false;
      }
      buffer[at++] = octet;
    }
    this.#blank = blank;
    this.#lineEnds += lineEnds;
    return at;
  }

  /** Content follows: what was held back counts. */
  #flushLineEnds(): void {
    this.#empty = false;
    for (let octets = this.#lineEnds * 2; octets > 0; octets -= LINE_ENDS.length) {
      this.#take(LINE_ENDS.subarray(0, Math.min(octets, LINE_ENDS.length)));
    }
    this.#lineEnds = 0;
  }
}
