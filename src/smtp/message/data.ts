/**
 * The message after 354, from the bytes of the connection to the bytes of the queue in one pass: finds its end, takes the dots away, turns
 * CRLF into LF, watches size and line ends. Has the bare-LF rule for all message data. Keeps the bytes in one growing buffer that the owner
 * empties; see message_buffer.ts. Independent of the queue.
 */

import { type Assembly, type HeaderOptions, HeaderSection } from "./header.ts";

/** Octets of a line, CRLF not included. A longer one ends the session. */
export const MAX_LINE_OCTETS = 65534;

/** Of a message that is refused, this many times the maximum is read; a client that sends on is not expected to end. */
const ENDLESS = 2;

/** Returns the octets of a message that is refused beyond which its end is not waited for: twice `maxBytes`, and a line. */
export function endlessOctets(maxBytes: number): number {
  return ENDLESS * maxBytes + MAX_LINE_OCTETS;
}

/** Returns whether a fault ends the session before the data ends. */
export function isHopeless(fault: Fault | null): boolean {
  return fault === "line" || fault === "endless";
}

/**
 * Why a message is refused; `refused`: by the queue. `line` and `endless` must end the session at once; all others are answered after the
 * data has been read to its end: RFC 5321 §4.1.1.4 has no reply before that.
 */
export type Fault = "bare" | "malformed" | "loop" | "header" | "size" | "refused" | "line" | "endless";

const CR = 0x0d, LF = 0x0a, DOT = 0x2e;

/**
 * The bare-LF rule, as a machine over the octets of message data: only CRLF ends a line, and only CRLF.CRLF ends the data (RFC 5321 §2.3.8,
 * §4.1.1.4). A bare LF or a bare CR ends nothing and is a fault: servers that take one for a line end can be made to see a second, smuggled
 * message. Filter input has the same rule, in rawlines.ts; the lines of commands are checked in lines.ts. The states say where in a line the
 * next octet stands. They are not exported: that would make the loop below slower.
 */
const START = 0;
const INSIDE = 1;
/** Behind a CR that may begin a CRLF. */
const AFTER_CR = 2;
/** Behind a dot at the start of a line, and behind that dot's CR. */
const AFTER_DOT = 3;
const AFTER_DOT_CR = 4;
/** Behind the final CRLF.CRLF. */
const END = 5;
/** Added to a state that was reached over a bare CR or a bare LF. */
const BARE = 8;

/** Where in a line the next octet stands, without BARE. */
export type LineState =
  | typeof START
  | typeof INSIDE
  | typeof AFTER_CR
  | typeof AFTER_DOT
  | typeof AFTER_DOT_CR
  | typeof END;

/** Returns the state behind `code`, with BARE added when it shows that a CR or LF was no line end. */
function after(state: LineState, code: number): number {
  if (code === LF) return state === AFTER_CR ? START : state === AFTER_DOT_CR ? END : INSIDE | BARE;
  const bare = state === AFTER_CR || state === AFTER_DOT_CR ? BARE : 0;
  if (code === CR) return bare | (state === AFTER_DOT ? AFTER_DOT_CR : AFTER_CR);
  return bare | (state === START && code === DOT ? AFTER_DOT : INSIDE);
}

/** The machine for other readers of message data: the first state, the last, what is added for a bare CR or LF, and the step to the next state. */
export const LINE_ENDS = { start: START, end: END, bare: BARE, after } as const;

/** The same for BDAT, RFC 3030 §2: no dots are doubled and none ends the data. */
function afterChunked(state: LineState, code: number): number {
  const next = after(state, code);
  return next === AFTER_DOT ? INSIDE : next;
}

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
  #at: LineState = START;
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

  /** The place in the message where the body begins, once `inHeader` is false. */
  get bodyStart(): number {
    return this.#to.sent + this.#header.settled;
  }

  /** With `watchUtf8`: the header section is not all ASCII. */
  get utf8Header(): boolean {
    return this.#header.utf8;
  }

  /** With `watchMessageId`, once the header section is over. */
  get messageId(): string {
    return this.#header.messageId;
  }

  /** `TLS-Required: No`, RFC 8689 §3. */
  get tlsOptional(): boolean {
    return this.#header.tlsOptional;
  }

  /** The queue does not need the rest: read it to its end and keep nothing. */
  refuse(): void {
    this.#fail("refused");
    this.#to.length = 0;
  }

  /** Reads `input` from `start` to `end` and returns where it stopped: `end`, or behind the final CRLF.CRLF. */
  push(input: Uint8Array, start: number, end: number): number {
    const to = this.#to;
    const chunked = this.#chunked;
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
      const next = chunked ? afterChunked(state, code) : after(state, code);
      state = (next & ~BARE) as LineState;
      if (next !== state) this.#fail("bare");
      if (state === INSIDE) {
        if (code === LF) continue;
        buffer[length++] = code;
        this.#column++;
      } else if (state === START) {
        buffer[length++] = LF;
        this.received += length - counted + 1;
        to.length = length;
        this.#lineEnd(end - position);
        ({ buffer, length } = to);
        counted = length;
      } else if (state === END) break;
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
      this.#lineEnd(0);
    }
    this.#at = END;
    this.#limits();
    this.#finish();
  }

  /** A line is complete. What the header section does with it may take room that was meant for the `rest` octets behind it. */
  #lineEnd(rest: number): void {
    if (this.#column > MAX_LINE_OCTETS) this.fault = "line";
    this.#column = 0;
    // Of two faults the first counts, however the octets came.
    if (this.received > this.#maxBytes) this.#fail("size");
    const header = this.#header;
    if (!header.open || this.fault !== null) return;
    const to = this.#to;
    header.line(this.#lineStart - to.sent);
    if (header.fault !== null) this.#fail(header.fault);
    this.#lineStart = to.sent + to.length;
    to.reserve(rest);
  }

  #limits(): void {
    if (this.#column > MAX_LINE_OCTETS) this.fault = "line";
    if (this.received > this.#maxBytes) this.#fail("size");
    if (this.received > endlessOctets(this.#maxBytes) && this.fault !== "line") this.fault = "endless";
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
