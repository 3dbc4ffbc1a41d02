/**
 * Message data as filters get it: from the bytes of the connection to whole lines, dot-stuffed as they came, each with LF for its CRLF. Finds the
 * end and what no filter may see: line ends that could smuggle, lines and messages that are too long.
 */

import { endlessOctets, type Fault, isHopeless, LINE_ENDS, type LineState, MAX_LINE_OCTETS } from "../message/data.ts";

const CR = 0x0d, LF = 0x0a, DOT = 0x2e;
const { start: START, end: END, bare: BARE, after } = LINE_ENDS;

export class RawLines {
  fault: Fault | null = null;
  /** Octets of the message as it was sent, RFC 1870 §5: CRLF as two, without doubled dots and the final one. */
  received = 0;
  /** Octets that were read. */
  #octets = 0;
  readonly #maxBytes: number;
  #out: Uint8Array<ArrayBuffer>;
  #length = 0;
  /** Where in `#out` the line that is not whole yet begins. */
  #lineStart = 0;
  #at: LineState = START;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#out = new Uint8Array(4096);
  }

  /** Reads `input` from `start` to `end` and returns where it stopped: `end`, or behind the final CRLF.CRLF. */
  push(input: Uint8Array, start: number, end: number): number {
    // Each CRLF becomes one octet, each bare CR or LF at most one more.
    this.#reserve(end - start);
    let position = start;
    while (position < end && !this.done) {
      const code = input[position++]!;
      const next = after(this.#at, code);
      this.#at = (next & ~BARE) as LineState;
      if (next !== this.#at) this.#spoil();
      if (this.#at === START || this.#at === END) this.#lineEnd();
      else if (code !== CR && code !== LF) this.#out[this.#length++] = code;
    }
    if (this.#length - this.#lineStart > MAX_LINE_OCTETS) this.#fail("line");
    this.#octets += position - start;
    if (this.#octets > endlessOctets(this.#maxBytes)) this.#fail("endless");
    // What will not be passed on need not be kept, but for a line that may be the last.
    if (this.fault !== null) this.#compact();
    return position;
  }

  /** The whole lines since the last call. After a fault there are none but the last one, `.`. */
  take(): Uint8Array<ArrayBuffer> {
    const lines = this.#out.slice(0, this.#lineStart);
    this.#out.copyWithin(0, this.#lineStart, this.#length);
    this.#length -= this.#lineStart;
    this.#lineStart = 0;
    return lines;
  }

  #lineEnd(): void {
    const { length } = this;
    if (!this.done) this.received += length + (this.#out[this.#lineStart] === DOT ? 1 : 2);
    if (length > MAX_LINE_OCTETS) this.#fail("line");
    if (this.received > this.#maxBytes) this.#fail("size");
    if (this.fault !== null && !this.done) {
      this.#length = this.#lineStart;
      return;
    }
    this.#out[this.#length++] = LF;
    this.#lineStart = this.#length;
  }

  /** CRLF.CRLF was read. */
  get done(): boolean {
    return this.#at === END;
  }

  get length(): number {
    return this.#length - this.#lineStart;
  }

  #compact(): void {
    if (this.done || this.length <= 2) return;
    // Longer than the last line can be: its beginning is enough to see that it is none.
    this.#length = this.#lineStart + 2;
  }

  #reserve(extra: number): void {
    const need = this.#length + extra + 2;
    if (need <= this.#out.length) return;
    const bigger = new Uint8Array(Math.max(need, 2 * this.#out.length));
    bigger.set(this.#out.subarray(0, this.#length));
    this.#out = bigger;
  }

  /** A bare CR or LF: a line with such an end inside must never be taken for the last one by a filter. */
  #spoil(): void {
    this.#fail("bare");
    this.#out[this.#length++] = 0x3f;
  }

  /** The first fault counts; line ends that could smuggle are worse than all but a line without end. */
  #fail(fault: Fault): void {
    if (isHopeless(this.fault)) return;
    if (this.fault === null || fault === "bare" || isHopeless(fault)) this.fault = fault;
  }
}
