/**
 * The message after 354, from the bytes of the connection to the bytes of the queue in one pass: finds its end, takes the dots away, turns
 * CRLF into LF, watches size and line ends. Keeps the bytes in one growing buffer that the owner empties; see message_buffer.ts. Knows no queue.
 */

import { type Assembly, type HeaderOptions, HeaderSection } from "./header.ts";

/** Octets of a line, CRLF not included. A longer one ends the session. */
export const MAX_LINE = 65534;

/** Of a message that is refused, this many times the maximum is read; who sends on does not mean to end. */
const ENDLESS = 2;

export function isEndless(octets: number, maxBytes: number): boolean {
  return octets > ENDLESS * maxBytes + MAX_LINE;
}

/** True for what ends the session before the data ends. */
export function isHopeless(fault: Fault | null): boolean {
  return fault === "line" || fault === "endless";
}

/**
 * Why a message is refused; `refused` is the queue's word. `line` and `endless` must end the session at once; all others are told after the
 * data has been read to its end: RFC 5321 §4.1.1.4 has no reply before that.
 */
export type Fault = "bare" | "malformed" | "loop" | "header" | "size" | "refused" | "line" | "endless";

/** Where in a line the next byte stands. Only CRLF ends a line and only CRLF.CRLF ends the data (RFC 5321 §2.3.8, §4.1.1.4). */
const START = 0;
const INSIDE = 1;
/** Behind a CR that may begin a CRLF. */
const AFTER_CR = 2;
/** Behind a dot at the start of a line, and behind that dot's CR. */
const AFTER_DOT = 3;
const AFTER_DOT_CR = 4;
const END = 5;

const CR = 0x0d, LF = 0x0a, DOT = 0x2e;

export interface DataOptions extends HeaderOptions {
  readonly maxBytes: number;
  /** BDAT, RFC 3030 §2: no dots are doubled and none ends the data; `finish` does. */
  readonly chunked?: boolean;
}

export class DataReader {
  fault: Fault | null = null;
  /** Octets of the message as it was sent, RFC 1870 §5: CRLF as two, without doubled dots and the final one. */
  received = 0;
  readonly #to: Assembly;
  readonly #header: HeaderSection;
  readonly #maxBytes: number;
  readonly #chunked: boolean;
  #at = START;
  /** The place in the message where the current line starts; of use in the header section only. */
  #lineStart: number;
  #column = 0;

  /** What `to` holds already (the Received field) stays in front. */
  constructor(to: Assembly, options: DataOptions) {
    this.#to = to;
    this.#maxBytes = options.maxBytes;
    this.#chunked = options.chunked ?? false;
    this.#header = new HeaderSection(to, options);
    this.#lineStart = to.sent + to.length;
  }

  /** What comes next is not to be read. */
  get hopeless(): boolean {
    return isHopeless(this.fault);
  }

  /** The final CRLF.CRLF has been read. */
  get done(): boolean {
    return this.#at === END;
  }

  /** Octets at the front of the buffer that will not change any more and can leave it. */
  get settled(): number {
    return this.#header.open ? this.#header.settled : this.#to.length;
  }

  /** True while lines may still be held back. */
  get inHeader(): boolean {
    return this.#header.open;
  }

  /** With `watchUtf8`: the header section is not all ASCII. */
  get utf8Header(): boolean {
    return this.#header.utf8;
  }

  /** `TLS-Required: No`, RFC 8689 §3. */
  get tlsOptional(): boolean {
    return this.#header.tlsOptional;
  }

  /** The queue does not want the rest: read it to its end and keep nothing. */
  refuse(): void {
    this.#fail("refused");
    this.#to.length = 0;
  }

  /** Reads `input` from `start` to `end` and returns where it stopped: `end`, or behind the final CRLF.CRLF. */
  push(input: Uint8Array, start: number, end: number): number {
    const to = this.#to;
    to.reserve(end - start);
    let { buffer, length } = to;
    let state = this.#at;
    let position = start;
    let counted = length;
    while (position < end) {
      if (state === INSIDE) {
        // The loop that a message spends its time in.
        let code = 0;
        const from = position;
        while (position < end && ((code = input[position]!) > CR || (code !== CR && code !== LF))) {
          buffer[length++] = code;
          position++;
        }
        this.#column += position - from;
        if (position === end) break;
      }
      const code = input[position++]!;
      if (code === CR) {
        if (state === AFTER_CR || state === AFTER_DOT_CR) this.#fail("bare");
        state = state === AFTER_DOT ? AFTER_DOT_CR : AFTER_CR;
        continue;
      }
      if (code === LF) {
        if (state === AFTER_DOT_CR) {
          state = END;
          break;
        }
        if (state === AFTER_CR) {
          buffer[length++] = LF;
          this.received += length - counted + 1;
          to.length = length;
          this.#lineEnd();
          ({ buffer, length } = to);
          counted = length;
          // What the header section did may have taken room that was meant for the rest of the input.
          if (buffer.length - length < end - position) {
            to.reserve(end - position);
            buffer = to.buffer;
          }
          state = START;
          continue;
        }
        this.#fail("bare");
        state = INSIDE;
        continue;
      }
      if (state === AFTER_CR || state === AFTER_DOT_CR) this.#fail("bare");
      else if (state === START && code === DOT && !this.#chunked) {
        state = AFTER_DOT;
        continue;
      }
      buffer[length++] = code;
      this.#column++;
      state = INSIDE;
    }
    this.received += length - counted;
    to.length = length;
    this.#at = state;
    this.#limits();
    if (state === END) this.#finish();
    return position;
  }

  /** The last chunk has been read. A last line without its end gets one; half an end is none. */
  finish(): void {
    if (this.#at === AFTER_CR) this.#fail("bare");
    if (this.#at === INSIDE && this.fault === null) {
      const to = this.#to;
      to.reserve(1);
      to.buffer[to.length++] = LF;
      this.#lineEnd();
    }
    this.#at = END;
    this.#limits();
    this.#finish();
  }

  #lineEnd(): void {
    if (this.#column > MAX_LINE) this.fault = "line";
    this.#column = 0;
    const header = this.#header;
    if (!header.open || this.fault !== null) return;
    const to = this.#to;
    header.line(this.#lineStart - to.sent);
    if (header.fault !== null) this.#fail(header.fault);
    this.#lineStart = to.sent + to.length;
  }

  #limits(): void {
    if (this.#column > MAX_LINE) this.fault = "line";
    if (this.received > this.#maxBytes) this.#fail("size");
    if (isEndless(this.received, this.#maxBytes) && this.fault !== "line") this.fault = "endless";
    if (this.fault !== null) this.#to.length = 0;
  }

  #finish(): void {
    if (this.fault !== null) return;
    this.#header.end();
    if (this.#header.fault !== null) this.#fail(this.#header.fault);
  }

  /** Remembers the first fault; line ends that could smuggle are worse than all others. */
  #fail(fault: Fault): void {
    if (isHopeless(this.fault)) return;
    if (this.fault === null || fault === "bare") this.fault = fault;
    this.#header.open = false;
  }
}
