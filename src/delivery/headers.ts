/** The header of a stored message as delivery sees it: what it must be asked before, and what is written in front of it. Pure. */

import { type EnvelopeFacts, formatMailbox, type Mailbox } from "../envelope/mod.ts";

const LF = 10, CR = 13;
/** Of a line only so much matters here. */
const LINE_LIMIT = 1024;
/** A header that is still not over after so many octets is not read further. */
export const HEADER_SCAN_LIMIT = 8 << 20;

/** Reads a header, chunk by chunk, until its end. */
export class HeaderScan {
  /** The message carries `Delivered-To: dest`: it was here before. */
  loop = false;
  /** Something before us called it spam. */
  junk = false;
  /** The empty line was seen. */
  ended = false;
  readonly #dest: string;
  /** Start of a line that goes on in the next chunk. */
  #rest: Uint8Array = new Uint8Array(0);

  constructor(dest: Mailbox) {
    this.#dest = formatMailbox(dest).toLowerCase();
  }

  feed(chunk: Uint8Array): void {
    let start = 0;
    while (!this.ended) {
      const end = chunk.indexOf(LF, start);
      if (end < 0) return this.#keep(chunk.subarray(start));
      let line = chunk.subarray(start, end);
      if (this.#rest.length > 0) {
        this.#keep(line);
        line = this.#rest;
        this.#rest = new Uint8Array(0);
      }
      this.#line(line);
      start = end + 1;
    }
  }

  #keep(part: Uint8Array): void {
    const joined = new Uint8Array(Math.min(this.#rest.length + part.length, LINE_LIMIT));
    joined.set(this.#rest);
    joined.set(part.subarray(0, joined.length - this.#rest.length), this.#rest.length);
    this.#rest = joined;
  }

  #line(line: Uint8Array): void {
    if (line.length === 0 || (line.length === 1 && line[0] === CR)) {
      this.ended = true;
      return;
    }
    // Only `Delivered-To` and `X-Spam` matter: most lines are told by their first octet.
    const first = line[0]! | 0x20;
    if (first === 0x64 && line.length < LINE_LIMIT) this.#deliveredTo(decode(line));
    else if (first === 0x78 && line.length < 32) this.junk ||= /^x-spam(?:-flag)?: yes\r?$/i.test(decode(line));
  }

  #deliveredTo(line: string): void {
    const value = /^delivered-to:\s*(.*?)\s*$/i.exec(line)?.[1];
    if (value !== undefined && value.toLowerCase() === this.#dest) this.loop = true;
  }
}

const decoder = new TextDecoder();
function decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** `Return-Path` (not for the null reverse-path) and `Delivered-To` with the recipient of the RCPT command; lines end with LF. */
export function traceLines(envelope: Pick<EnvelopeFacts, "sender" | "rcpt">): string {
  const path = envelope.sender === null ? "" : `Return-Path: <${oneLine(formatMailbox(envelope.sender))}>\n`;
  return `${path}Delivered-To: ${oneLine(formatMailbox(envelope.rcpt))}\n`;
}

/** Addresses cannot hold control characters; whoever hands one over all the same shall not write headers with it. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f]/g, "?");
}
