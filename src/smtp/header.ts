/**
 * The header section of a message on its way in, line by line, in the buffer where it is being assembled: drops Bcc, completes
 * or replaces addresses, counts Received, adds what a submission lacks. Touches nothing behind the header section. RFC 5322 §2.2, read lightly.
 */

import { isAscii } from "../envelope/mod.ts";
import { missingDomains } from "./complete.ts";
import { masqueraded } from "./masquerade.ts";

/** The n-th Received field is one too many. */
export const MAX_HOPS = 100;
/** Octets of a field name, and of a From, To or Cc field with its folding. */
export const MAX_FIELD_NAME = 1023;
export const MAX_ADDRESS_FIELD = 65535;
/** Octets of the whole section as the client sent it, line ends counted once. RFC 5322 has no limit. */
export const MAX_HEADER = 262_144;

/** A buffer that grows at its end; `length` octets of it are in use. */
export interface Assembly {
  buffer: Uint8Array<ArrayBuffer>;
  length: number;
  /** Makes room for `extra` octets more; may replace `buffer`. */
  reserve(extra: number): void;
}

export type HeaderFault = "malformed" | "loop" | "header";

/** What to add to a message that was submitted here, RFC 6409 §8. Null for mail that others hand on. */
export interface Completion {
  /** Name for addresses without a domain. */
  readonly domain: Uint8Array;
  /** Each called at most once, when the field is missing. `from` gives null for a bounce, which nobody signs. */
  readonly fields: { date(): string; messageId(): string; from(): string | null } | null;
  /** Stands for every address in From; null: they stay. */
  readonly masquerade?: Uint8Array | null;
  /** Whether there is anything beyond ASCII is to be found out. */
  readonly watchUtf8?: boolean;
}

type Field = "other" | "bcc" | "address" | "from";

const encoder = new TextEncoder();
const LF = 0x0a, COLON = 0x3a;

export class HeaderSection {
  /** False as soon as the body begins: no line is to be passed any more. */
  open = true;
  fault: HeaderFault | null = null;
  /** From here on the buffer may still be changed; everything before can leave. */
  settled: number;
  #field: Field = "other";
  #first = true;
  /** With `watchUtf8`: a line of it is not ASCII. */
  utf8 = false;
  #octets = 0;
  #hops = 0;
  /** Fields `TLS-Required`, and those that say `No`. */
  #tlsFields = 0;
  #tlsNo = 0;
  #hasDate = false;
  #hasMessageId = false;
  #hasFrom = false;
  readonly #to: Assembly;
  readonly #completion: Completion;

  constructor(to: Assembly, completion: Completion) {
    this.#to = to;
    this.#completion = completion;
    this.settled = to.length;
  }

  /** RFC 8689 §3: the field stands once, and its value is `No`. */
  get tlsOptional(): boolean {
    return this.#tlsFields === 1 && this.#tlsNo === 1;
  }

  /** A line was appended at `start`; it ends with the LF before `to.length`. May shorten or lengthen what is in the buffer. */
  line(start: number): void {
    const to = this.#to;
    const end = to.length - 1;
    if (end === start) return this.#blank(start);
    this.#octets += to.length - start;
    if (this.#octets > MAX_HEADER) return this.#fail("header");
    if (this.#completion.watchUtf8 && !this.utf8) {
      this.utf8 = to.buffer.subarray(start, end).some((byte) => byte > 0x7f);
    }
    const first = to.buffer[start]!;
    if (first === 0x20 || first === 0x09) {
      if (this.#first) return this.#fail("malformed");
      return this.#continued(start);
    }
    const colon = to.buffer.indexOf(COLON, start);
    if (colon === -1 || colon >= end || colon - start > MAX_FIELD_NAME) return this.#fail("malformed");
    this.#first = false;
    const shift = this.#finish(start);
    this.#begin(start + shift, colon + shift);
  }

  /** The data ended: a header section needs no blank line behind it. */
  end(): void {
    if (!this.open || this.fault !== null) return;
    this.#finish(this.#to.length);
    this.#add();
    this.open = false;
  }

  /** The blank line at `start` ends the section; what is added goes before it. */
  #blank(start: number): void {
    const shift = this.#finish(start);
    this.#to.length = start + shift;
    this.#add();
    this.#to.reserve(1);
    this.#to.buffer[this.#to.length++] = LF;
    this.open = false;
    this.settled = this.#to.length;
  }

  #fail(fault: HeaderFault): void {
    this.fault = fault;
    this.open = false;
  }

  #begin(start: number, colon: number): void {
    this.#field = this.#classify(start, colon);
    this.#drain(start);
  }

  #continued(start: number): void {
    this.#drain(start);
  }

  /** After a line of the current field: drops it, keeps it changeable, or lets it go. */
  #drain(start: number): void {
    const to = this.#to;
    if (this.#field === "address" || this.#field === "from") {
      if (to.length - this.settled > MAX_ADDRESS_FIELD) this.#fail("malformed");
      return;
    }
    if (this.#field === "bcc") to.length = start;
    this.settled = to.length;
  }

  /** Names the field and counts what must be counted. RFC 5322 §4.5 lets blanks stand before the colon. */
  #classify(start: number, colon: number): Field {
    const buffer = this.#to.buffer;
    let end = colon;
    while (end > start && (buffer[end - 1] === 0x20 || buffer[end - 1] === 0x09)) end--;
    switch (end - start) {
      case 2:
        return is(buffer, start, "to") || is(buffer, start, "cc") ? "address" : "other";
      case 3:
        return is(buffer, start, "bcc") ? "bcc" : "other";
      case 4:
        if (is(buffer, start, "from")) {
          this.#hasFrom = true;
          return "from";
        }
        this.#hasDate ||= is(buffer, start, "date");
        return "other";
      case 8:
        if (is(buffer, start, "received") && ++this.#hops >= MAX_HOPS) this.#fail("loop");
        return "other";
      case 10:
        this.#hasMessageId ||= is(buffer, start, "message-id");
        return "other";
      case 12:
        if (is(buffer, start, "tls-required")) this.#readTlsRequired(colon);
        return "other";
      default:
        return "other";
    }
  }

  #readTlsRequired(colon: number): void {
    this.#tlsFields++;
    const { buffer, length } = this.#to;
    // No value that is longer means anything.
    const value = buffer.subarray(colon + 1, Math.min(length, colon + 100));
    if (/^[ \t]*no[ \t]*\n/i.test(String.fromCharCode(...value))) this.#tlsNo++;
  }

  /** The current field ends at `end`: completes its addresses. Returns by how much what stands behind `end` has moved. */
  #finish(end: number): number {
    const field = this.#field;
    if (field !== "address" && field !== "from") return 0;
    this.#field = "other";
    const to = this.#to;
    const start = this.settled;
    if (field === "from" && this.#completion.masquerade) return this.#masquerade(this.#completion.masquerade, end);
    this.settled = end;
    const colon = to.buffer.indexOf(COLON, start);
    const places = missingDomains(to.buffer, colon + 1, end);
    if (places.length === 0) return 0;
    const domain = this.#completion.domain;
    const grown = places.length * (domain.length + 1);
    if (end - start + grown > MAX_ADDRESS_FIELD) return 0;
    to.reserve(grown);
    insert(to, places, domain);
    this.settled = end + grown;
    return grown;
  }

  /** The same for a From field whose addresses are not the sender's to choose. */
  #masquerade(address: Uint8Array, end: number): number {
    const to = this.#to;
    const from = to.buffer.indexOf(COLON, this.settled) + 1;
    const body = masqueraded(to.buffer.subarray(from, end - 1), address, MAX_ADDRESS_FIELD);
    if (this.#completion.watchUtf8) this.utf8 ||= address.some((octet) => octet > 0x7f);
    const shift = body.length - (end - 1 - from);
    if (shift > 0) to.reserve(shift);
    to.buffer.copyWithin(end - 1 + shift, end - 1, to.length);
    to.buffer.set(body, from);
    to.length += shift;
    this.settled = end + shift;
    return shift;
  }

  #add(): void {
    const fields = this.#completion.fields;
    if (fields === null) return;
    const from = this.#hasFrom ? null : fields.from();
    if (from !== null) {
      if (this.#completion.watchUtf8) this.utf8 ||= !isAscii(from);
      append(this.#to, `From: <${from}>\n`);
    }
    if (!this.#hasDate) append(this.#to, `Date: ${fields.date()}\n`);
    if (!this.#hasMessageId) append(this.#to, `Message-ID: ${fields.messageId()}\n`);
  }
}

/** True when the lower-case ASCII `name` stands at `start`, in any case. */
function is(buffer: Uint8Array, start: number, name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = buffer[start + at]!;
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if (lower !== name.charCodeAt(at)) return false;
  }
  return true;
}

/** Puts `@domain` at each of the places, from the last to the first so that the others stay where they are. Room is there already. */
function insert(to: Assembly, places: readonly number[], domain: Uint8Array): void {
  const { buffer } = to;
  const size = domain.length + 1;
  let end = to.length;
  for (let index = places.length - 1; index >= 0; index--) {
    const place = places[index]!;
    const shift = size * (index + 1);
    buffer.copyWithin(place + shift, place, end);
    buffer[place + shift - size] = 0x40;
    buffer.set(domain, place + shift - size + 1);
    end = place;
  }
  to.length += size * places.length;
}

/** Appends ASCII text. */
export function append(to: Assembly, text: string): void {
  to.reserve(text.length * 3);
  to.length += encoder.encodeInto(text, to.buffer.subarray(to.length)).written;
}
