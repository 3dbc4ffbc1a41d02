/** The header of a stored message as delivery needs it: whether it loops or is spam, and what is written in front of it. Pure. */

import { type EnvelopeContent, formatMailbox, formatPath, type Mailbox } from "../envelope/mod.ts";
import type { StoredBody } from "../queue_client/mod.ts";

const LF = 10, CR = 13, COLON = 58;
/** Of a line only so much matters here. */
const MAX_LINE_OCTETS = 1024;
/** A header that is still not over after so many octets is not read further. */
export const MAX_SCANNED_OCTETS = 8 << 20;

/** Octets of one chunk of a body: from the first of them to behind the last. */
export interface Cut {
  readonly from: number;
  readonly to: number;
}

/** Part of a line that goes on in the next chunk, or a line. */
interface Piece extends Cut {
  readonly chunk: number;
}

/** Reads a header, chunk by chunk from the first on, until its end. */
export class HeaderScan {
  /** The message carries `Delivered-To: dest`: it was here before. */
  loop = false;
  /** Something before us called it spam. */
  junk = false;
  /** The empty line was seen. */
  ended = false;
  /** Where Return-Path fields stand, by chunk and in order: the final delivery writes the only one (RFC 5321 §4.4). */
  readonly returnPaths = new Map<number, Cut[]>();
  readonly #dest: string;
  #chunk = -1;
  /** Start of a line that goes on in the next chunk, and where it stands. */
  #rest: Uint8Array = new Uint8Array(0);
  #begun: Piece[] = [];
  /** The current field is a Return-Path. */
  #inReturnPath = false;
  /** Up to here there were fields only: behind something else may stand what is not meant as one. */
  #fieldsOnly = true;

  constructor(dest: Mailbox) {
    this.#dest = formatMailbox(dest).toLowerCase();
  }

  feed(chunk: Uint8Array): void {
    this.#chunk++;
    let start = 0;
    while (!this.ended) {
      const end = chunk.indexOf(LF, start);
      if (end < 0) return this.#keep(chunk, start, chunk.length);
      let line = chunk.subarray(start, end);
      const piece = { chunk: this.#chunk, from: start, to: end + 1 };
      if (this.#rest.length > 0) {
        this.#keep(chunk, start, end);
        line = this.#rest;
        this.#rest = new Uint8Array(0);
      }
      this.#line(line);
      if (this.#inReturnPath) { for (const part of [...this.#begun, piece]) this.#cut(part); }
      if (this.#begun.length > 0) this.#begun = [];
      start = end + 1;
    }
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const part = chunk.subarray(start, end);
    const joined = new Uint8Array(Math.min(this.#rest.length + part.length, MAX_LINE_OCTETS));
    joined.set(this.#rest);
    joined.set(part.subarray(0, joined.length - this.#rest.length), this.#rest.length);
    this.#rest = joined;
    if (end === chunk.length && start < end) this.#begun.push({ chunk: this.#chunk, from: start, to: end });
  }

  #cut({ chunk, from, to }: Piece): void {
    const cuts = this.returnPaths.get(chunk);
    if (cuts === undefined) this.returnPaths.set(chunk, [{ from, to }]);
    else cuts.push({ from, to });
  }

  #line(line: Uint8Array): void {
    this.#watchReturnPath(line);
    if (line.length === 0 || (line.length === 1 && line[0] === CR)) {
      this.ended = true;
      return;
    }
    // Beside it only `Delivered-To` and `X-Spam` matter: most lines are distinguished by their first octet.
    const first = line[0]! | 0x20;
    if (first === 0x64 && line.length < MAX_LINE_OCTETS) this.#deliveredTo(decode(line));
    else if (first === 0x78 && line.length < 32) this.junk ||= /^x-spam(?:-flag)?: yes\r?$/i.test(decode(line));
  }

  #watchReturnPath(line: Uint8Array): void {
    if (!this.#fieldsOnly || line[0] === 0x20 || line[0] === 0x09) return;
    this.#inReturnPath = line.length > 0 && (line[0]! | 0x20) === 0x72 &&
      /^return-path[ \t]*:/i.test(decode(line.subarray(0, 64)));
    // The line in front of a message in an mbox file is none of it.
    if (line.length < MAX_LINE_OCTETS && !line.includes(COLON) && !/^>?From /.test(decode(line.subarray(0, 8)))) {
      this.#fieldsOnly = false;
    }
  }

  #deliveredTo(line: string): void {
    const value = /^delivered-to:\s*(.*?)\s*$/i.exec(line)?.[1];
    if (value !== undefined && value.toLowerCase() === this.#dest) this.loop = true;
  }
}

/** Returns the body without the cuts that `HeaderScan` found in it; the same one when there are none. */
export function withoutCuts(body: StoredBody, cuts: ReadonlyMap<number, readonly Cut[]>): StoredBody {
  if (cuts.size === 0) return body;
  const left = (index: number, bytes: Uint8Array): Uint8Array => {
    const here = cuts.get(index);
    return here === undefined ? bytes : leftOf(bytes, here);
  };
  const gone = [...cuts.values()].flat().reduce((sum, { from, to }) => sum + to - from, 0);
  return {
    bytes: body.bytes - gone,
    chunks: body.chunks,
    first: left(0, body.first),
    chunk: async (index) => left(index, await body.chunk(index)),
  };
}

function leftOf(bytes: Uint8Array, cuts: readonly Cut[]): Uint8Array {
  const left = new Uint8Array(bytes.length - cuts.reduce((sum, { from, to }) => sum + to - from, 0));
  let read = 0, written = 0;
  for (const { from, to } of [...cuts, { from: bytes.length, to: bytes.length }]) {
    left.set(bytes.subarray(read, from), written);
    written += from - read;
    read = to;
  }
  return left;
}

const decoder = new TextDecoder();
function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Returns `Return-Path` (RFC 5321 §4.4, `<>` for the null sender) and `Delivered-To` with the recipient of the RCPT command; lines end with LF. */
export function traceLines(envelope: Pick<EnvelopeContent, "sender" | "rcpt">): string {
  return `Return-Path: ${oneLine(formatPath(envelope.sender))}\nDelivered-To: ${
    oneLine(formatMailbox(envelope.rcpt))
  }\n`;
}

/** Addresses cannot hold control characters; one that does all the same shall not write header lines. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f]/g, "?");
}
