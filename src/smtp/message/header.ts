/**
 * The header section of a message on its way in, line by line, in the buffer where it is being assembled. Of mail in transit it only reads
 * (RFC 5321 §6.4): counts Received, sees TLS-Required, and where mail is checked drops results of others that bear our name (RFC 8601 §5).
 * What is submitted it completes (RFC 6409 §8): drops Bcc, completes or replaces addresses, adds what is missing. Touches nothing behind the
 * header section.
 */

import { isAscii } from "../../envelope/mod.ts";
import { missingDomains } from "./complete.ts";
import { masqueraded } from "./masquerade.ts";
import { type Completion, is } from "./completion.ts";
import { lineText } from "../session/command.ts";
import { ResentBlock, resentField } from "./resent.ts";

/** The n-th Received field is one too many. */
export const MAX_HOPS = 100;
/** Octets of a field name in what is submitted, and of an address field that is completed, with its folding: a longer one is left alone. */
export const MAX_FIELD_NAME_OCTETS = 1023;
export const MAX_ADDRESS_FIELD_OCTETS = 65535;
/** Octets of the whole section as the client sent it, line ends counted once. RFC 5322 has no limit. */
export const MAX_HEADER_OCTETS = 262_144;
/** Octets of a Message-ID that is found out; of a longer one, these. RFC 5322 §2.1.1 has no longer line. */
const MAX_MESSAGE_ID_OCTETS = 998;

/** A buffer that grows at its end; `length` octets of it are in use. */
export interface Assembly {
  buffer: Uint8Array<ArrayBuffer>;
  length: number;
  /** Octets that have left it at the front: the place in the message where the buffer begins. */
  readonly sent: number;
  /** Makes room for `extra` octets more; may replace `buffer`. */
  reserve(extra: number): void;
}

export type HeaderFault = "malformed" | "loop" | "header";

export interface HeaderOptions {
  /** Null for mail in transit, which stays as it is. */
  readonly completion: Completion | null;
  /** Whether there is anything beyond ASCII is to be found out. */
  readonly watchUtf8?: boolean;
  /** The Message-ID is to be found out. */
  readonly watchMessageId?: boolean;
  /** Is shown each line as it came, with its LF, before anything is changed; the blank line is the last, or what is no field. */
  readonly onLine?: (line: Uint8Array) => void;
  /** Tells of a whole field Authentication-Results whether it is forged; absent where mail is not checked. */
  readonly isForged?: (field: Uint8Array) => boolean;
}

/** `swallowed`: a From field that is too long to be masqueraded address by address; `bcc`: one that is dropped line by line; `results`: one that may be forged. */
type Field = "other" | "bcc" | "address" | "from" | "swallowed" | "results";

const encoder = new TextEncoder();
const LF = 0x0a, COLON = 0x3a;

export class HeaderSection {
  /** False as soon as the body begins: no line is to be passed any more. */
  open = true;
  fault: HeaderFault | null = null;
  /** The place in the message from which on it may still be changed. */
  #settled = 0;
  #field: Field = "other";
  #first = true;
  /** With `watchUtf8`: a line of it is not ASCII. */
  utf8 = false;
  /** With `watchMessageId`: the first Message-ID, with its brackets; "" for none. */
  messageId = "";
  /** The line before was one of the Message-ID that is kept. */
  #inMessageId = false;
  #octets = 0;
  #hops = 0;
  /** Fields `TLS-Required`, and those that say `No`. */
  #tlsFields = 0;
  #tlsNo = 0;
  #hasDate = false;
  #hasMessageId = false;
  #hasFrom = false;
  readonly #resent = new ResentBlock();
  readonly #to: Assembly;
  readonly #completion: Completion | null;
  readonly #watchUtf8: boolean;
  readonly #watchMessageId: boolean;
  readonly #onLine: HeaderOptions["onLine"];
  readonly #isForged: HeaderOptions["isForged"];

  constructor(
    to: Assembly,
    { completion, watchUtf8 = false, watchMessageId = false, onLine, isForged }: HeaderOptions,
  ) {
    this.#to = to;
    this.#onLine = onLine;
    this.#isForged = isForged;
    this.#completion = completion;
    this.#watchUtf8 = watchUtf8;
    this.#watchMessageId = watchMessageId;
    this.settled = to.length;
  }

  /** From here on the buffer may still be changed; everything before can leave. */
  get settled(): number {
    return this.#settled - this.#to.sent;
  }

  set settled(at: number) {
    this.#settled = this.#to.sent + at;
  }

  /** RFC 8689 §3: the field stands once, and its value is `No`. */
  get tlsOptional(): boolean {
    return this.#tlsFields === 1 && this.#tlsNo === 1;
  }

  /** A line was appended at `start`; it ends with the LF before `to.length`. May shorten or lengthen what is in the buffer. */
  line(start: number): void {
    const to = this.#to;
    const end = to.length - 1;
    this.#onLine?.(to.buffer.subarray(start, to.length));
    if (end === start) return this.#blank(start);
    this.#octets += to.length - start;
    if (this.#octets > MAX_HEADER_OCTETS) return this.#fail("header");
    if (this.#watchUtf8 && !this.utf8) {
      this.utf8 = to.buffer.subarray(start, end).some((byte) => byte > 0x7f);
    }
    const folded = isBlank(to.buffer[start]!);
    const colon = folded ? -1 : to.buffer.indexOf(COLON, start);
    const isField = colon !== -1 && colon < end;
    const first = this.#first;
    this.#first = false;
    if (folded ? first : !isField && !(first && isFromLine(to.buffer, start))) return this.#noField(start);
    if (folded) {
      if (this.#inMessageId) this.#readMessageId(start);
      return this.#drain(start);
    }
    this.#inMessageId = false;
    if (!isField) return this.#begin(start, "other");
    // A name that no line could hold (RFC 5322 §2.1.1) is a fault of the program that submits it.
    if (this.#completion !== null && colon - start > MAX_FIELD_NAME_OCTETS) return this.#fail("malformed");
    this.#begin(start, this.#classify(start, colon), colon);
  }

  /** The data ended: a header section needs no blank line behind it. */
  end(): void {
    if (!this.open || this.fault !== null) return;
    this.#finish(this.#to.length);
    this.#closeResent(this.#to.length);
    this.#add();
    this.open = false;
  }

  /** The blank line at `start` ends the section; what is added goes before it. */
  #blank(start: number): void {
    let shift = this.#finish(start);
    shift += this.#closeResent(start + shift);
    this.#to.length = start + shift;
    this.#add();
    this.#to.reserve(1);
    this.#to.buffer[this.#to.length++] = LF;
    this.open = false;
    this.settled = this.#to.length;
  }

  /**
   * A line that is no field, RFC 5322 §2.2. A program that submits such a thing gets an error; in transit it is as good as a body. Folded, it
   * would become a part of the field that this server puts in front: a blank line keeps it apart. So it does where mail is checked: some readers
   * take what stands behind the line for fields that were looked at.
   */
  #noField(start: number): void {
    if (this.#completion !== null) return this.#fail("malformed");
    start += this.#finish(start);
    if (isBlank(this.#to.buffer[start]!) || this.#isForged !== undefined) this.#insert(start, "\n");
    this.open = false;
    this.settled = this.#to.length;
  }

  #fail(fault: HeaderFault): void {
    this.fault = fault;
    this.open = false;
  }

  /** A field begins at `start`: the one before it is complete. */
  #begin(start: number, field: Field, colon = start): void {
    if (this.fault !== null) return;
    if (this.#completion === null) {
      start += this.#finish(start);
      this.#field = field === "results" ? field : "other";
    } else {
      const shift = this.#finish(start);
      start += shift;
      const resent = resentField(this.#to.buffer, start, colon + shift);
      if (this.#resent.endsBefore(resent)) start += this.#closeResent(start);
      this.#resent.add(resent);
      this.#field = field;
    }
    this.#drain(start);
  }

  /** After a line of the current field: drops it, keeps it changeable, or lets it go. */
  #drain(start: number): void {
    const to = this.#to;
    if (this.#field === "address" || this.#field === "from") {
      if (to.length - this.settled <= MAX_ADDRESS_FIELD_OCTETS) return;
      this.#field = this.#field === "from" && this.#completion?.masquerade ? "swallowed" : "other";
      if (this.#field === "other") this.settled = to.length;
      else to.length = to.buffer.indexOf(COLON, this.settled) + 1;
      return;
    }
    if (this.#field === "results") {
      if (to.length - this.settled <= MAX_ADDRESS_FIELD_OCTETS) return;
      // None that is ours is so long.
      to.length = this.settled;
      this.#field = "bcc";
      return;
    }
    if (this.#field === "bcc" || this.#field === "swallowed") to.length = start;
    if (this.#field !== "swallowed") this.settled = to.length;
  }

  /** Names the field and counts what must be counted. RFC 5322 §4.5 lets blanks stand before the colon. */
  #classify(start: number, colon: number): Field {
    const buffer = this.#to.buffer;
    let end = colon;
    while (end > start && isBlank(buffer[end - 1]!)) end--;
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
      case 9:
        return is(buffer, start, "resent-to") || is(buffer, start, "resent-cc") ? "address" : "other";
      case 10:
        if (is(buffer, start, "resent-bcc")) return "bcc";
        if (!this.#hasMessageId && is(buffer, start, "message-id")) {
          this.#hasMessageId = true;
          if (this.#watchMessageId) this.#readMessageId(colon + 1);
        }
        return "other";
      case 11:
        return is(buffer, start, "resent-from") ? "address" : "other";
      case 12:
        if (is(buffer, start, "tls-required")) this.#readTlsRequired(colon);
        return "other";
      case 22:
        return this.#isForged !== undefined && is(buffer, start, "authentication-results") ? "results" : "other";
      default:
        return "other";
    }
  }

  /** Takes what stands from `start` to the end of the line for the Message-ID, or for more of it. */
  #readMessageId(start: number): void {
    this.#inMessageId = true;
    const { buffer, length } = this.#to;
    const most = MAX_MESSAGE_ID_OCTETS - this.messageId.length;
    this.messageId += lineText(buffer, start, Math.min(length - 1, start + most)).trim();
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
    if (field === "results") return this.#judge(end);
    if (this.#completion === null || field === "other" || field === "bcc") return 0;
    this.#field = "other";
    const to = this.#to;
    const start = this.settled;
    if (field === "swallowed") {
      const shift = this.#insert(end, "\n");
      return shift + this.#masquerade(this.#completion.masquerade!, end + shift);
    }
    if (field === "from" && this.#completion.masquerade) return this.#masquerade(this.#completion.masquerade, end);
    this.settled = end;
    const colon = to.buffer.indexOf(COLON, start);
    const places = missingDomains(to.buffer, colon + 1, end);
    if (places.length === 0) return 0;
    const domain = this.#completion.domain;
    const grown = places.length * (domain.length + 1);
    if (end - start + grown > MAX_ADDRESS_FIELD_OCTETS) return 0;
    to.reserve(grown);
    insert(to, places, domain);
    this.settled = end + grown;
    return grown;
  }

  /** Drops the current field, which ends at `end`, when it is forged. Returns by how much what stands behind has moved. */
  #judge(end: number): number {
    this.#field = "other";
    const to = this.#to, start = this.settled;
    if (this.#isForged?.(to.buffer.subarray(start, end)) !== true) {
      this.settled = end;
      return 0;
    }
    to.buffer.copyWithin(start, end, to.length);
    to.length -= end - start;
    return start - end;
  }

  /** The same for a From field whose addresses are not the sender's to choose. */
  #masquerade(address: Uint8Array, end: number): number {
    const to = this.#to;
    const from = to.buffer.indexOf(COLON, this.settled) + 1;
    const body = masqueraded(to.buffer.subarray(from, end - 1), address, MAX_ADDRESS_FIELD_OCTETS);
    if (this.#watchUtf8) this.utf8 ||= address.some((octet) => octet > 0x7f);
    const shift = body.length - (end - 1 - from);
    if (shift > 0) to.reserve(shift);
    to.buffer.copyWithin(end - 1 + shift, end - 1, to.length);
    to.buffer.set(body, from);
    to.length += shift;
    this.settled = end + shift;
    return shift;
  }

  /** The newest resent block, if there is one, ends at `place`: adds what it lacks. Returns by how much what stands behind has moved. */
  #closeResent(place: number): number {
    if (this.#completion === null) return 0;
    const text = this.#resent.close(this.#completion.fields);
    if (this.#watchUtf8) this.utf8 ||= !isAscii(text);
    const shift = this.#insert(place, text);
    this.settled = Math.max(this.settled, place + shift);
    return shift;
  }

  #add(): void {
    if (this.#completion === null) return;
    const { fields } = this.#completion;
    const from = this.#hasFrom ? null : fields.from();
    if (from !== null) {
      if (this.#watchUtf8) this.utf8 ||= !isAscii(from);
      append(this.#to, `From: <${from}>\n`);
    }
    if (!this.#hasDate) append(this.#to, `Date: ${fields.date()}\n`);
    if (this.#hasMessageId) return;
    this.messageId = fields.messageId();
    append(this.#to, `Message-ID: ${this.messageId}\n`);
  }

  /** Puts text at `place` and moves what stands there. Returns its octets. */
  #insert(place: number, text: string): number {
    if (text === "") return 0;
    const bytes = encoder.encode(text);
    const to = this.#to;
    to.reserve(bytes.length);
    to.buffer.copyWithin(place + bytes.length, place, to.length);
    to.buffer.set(bytes, place);
    to.length += bytes.length;
    return bytes.length;
  }
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

/** The line that mbox files have in front of a message, and the same with its mark: some send it along. */
function isFromLine(buffer: Uint8Array, start: number): boolean {
  return is(buffer, buffer[start] === 0x3e ? start + 1 : start, "from ");
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
