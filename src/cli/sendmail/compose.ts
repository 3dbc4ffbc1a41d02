/**
 * What sendmail(8) makes of the text on its standard input: a header that is complete, recipients from it, a body that fits the wire. Works
 * on octets with LF line ends; pure but for the date that it is given.
 */

import { AddressListError, readAddressList } from "./addresses.ts";
import { encodeQuotedPrintable } from "./quoted_printable.ts";

/** Body lines of this many octets or more need an encoding: a line on the wire may have 998 (RFC 5321 §4.5.3.1.6). */
export const LONG_LINE = 990;

/** A header field with its continuation lines, each with its LF. */
interface Field {
  /** Lower-case, "" for a line that is no field. */
  readonly name: string;
  readonly text: string;
  /** Where in `text` the first octet stands that may not be sent and became a blank; -1 for none. */
  readonly repairedAt: number;
}

/** The input, split but not changed. */
export interface Draft {
  readonly fields: readonly Field[];
  readonly body: Uint8Array<ArrayBuffer>;
}

/** What a draft may lack. */
export interface Completion {
  /** Value of From. */
  readonly from: string;
  /** Value of Date. */
  readonly date: string;
}

const RECOGNISED = new Set([
  "from",
  "to",
  "cc",
  "bcc",
  "subject",
  "date",
  "message-id",
  "mime-version",
  "content-type",
  "content-disposition",
  "content-transfer-encoding",
  "user-agent",
  "resent-from",
  "resent-sender",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "resent-date",
  "resent-message-id",
]);
/** Never sent: the recipients of blind copies stay hidden. */
const BLIND = new Set(["bcc", "resent-bcc"]);
/** Written by each host on the way: what stands below was there before. */
const TRACE = new Set(["received", "return-path", "delivered-to"]);
const NUL = 0, LF = 10, CR = 13, SPACE = 32;
/** Octets as characters and back, unaltered. */
const latin1 = {
  decode(bytes: Uint8Array): string {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return text;
  },
  encode: (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0)),
};

/** CRLF becomes LF, however many CR it has; a last line without an end gets one. A CR elsewhere is no line end here, where lines end with LF. */
export function normalizeLines(input: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(input.length + 1);
  let size = 0;
  for (let at = 0; at < input.length; at++) {
    const octet = input[at]!;
    if (octet !== CR) {
      out[size++] = octet;
      continue;
    }
    let behind = at + 1;
    while (input[behind] === CR) behind++;
    if (behind < input.length && input[behind] !== LF) out.fill(CR, size, size += behind - at);
    at = behind - 1;
  }
  if (size > 0 && out[size - 1] !== LF) out[size++] = LF;
  return out.subarray(0, size);
}

/** A CR that is no line end may not be sent (RFC 5321 §2.3.8), nor NUL (RFC 5322 §4): they become blanks. What stands behind is no field. */
function repair(octets: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (!octets.includes(CR) && !octets.includes(NUL)) return octets;
  return octets.map((octet) => octet === CR || octet === NUL ? SPACE : octet);
}

/** Splits normalized input and repairs it. Text that starts with no recognised field is all body. */
export function parseDraft(input: Uint8Array<ArrayBuffer>): Draft {
  const fields: Field[] = [];
  let at = 0;
  while (at < input.length) {
    const end = input.indexOf(LF, at) + 1;
    const octets = input.subarray(at, end);
    const line = latin1.decode(repair(octets));
    const repairedAt = octets.findIndex((octet) => octet === CR || octet === NUL);
    if (line === "\n") {
      at = end;
      break;
    }
    const name = /^([!-9;-~]+)[ \t]*:/.exec(line)?.[1]?.toLowerCase();
    if (name !== undefined) fields.push({ name, text: line, repairedAt });
    else if (/^[ \t]/.test(line) && fields.length > 0) {
      const last = fields.pop()!;
      const since = last.repairedAt < 0 && repairedAt >= 0 ? last.text.length + repairedAt : last.repairedAt;
      fields.push({ name: last.name, text: last.text + line, repairedAt: since });
    } else if (line.startsWith("From ")) fields.push({ name: "from ", text: line, repairedAt });
    // The author forgot the blank line.
    else break;
    at = end;
  }
  // A blank line at the very start is an empty header.
  if (fields.length > 0 && !fields.some(({ name }) => RECOGNISED.has(name))) return { fields: [], body: repair(input) };
  return { fields, body: repair(input.subarray(at)) };
}

/**
 * Addresses of Resent-To, Resent-Cc and Resent-Bcc in the newest resent block (RFC 5322 §3.6.6) if it has one of these fields, else of To, Cc
 * and Bcc. Throws AddressListError when one of them is ambiguous.
 */
export function headerRecipients(draft: Draft): string[] {
  const resent = recipientFields(newestResent(draft), "resent-");
  const fields = resent.length > 0 ? resent : recipientFields(draft.fields, "");
  return fields.flatMap(recipientsOf);
}

/** What stands behind an octet that had to be repaired may not be the author's, and is no recipient. */
function recipientsOf({ text, repairedAt }: Field): string[] {
  const field = text.slice(0, text.indexOf(":")).trim();
  if (repairedAt >= 0) throw new AddressListError(`${field}: a carriage return or a NUL stands within a line`);
  const { addresses, fault } = readAddressList(valueOf(text));
  if (fault !== null) throw new AddressListError(`${field}: ${fault}`);
  return addresses;
}

function recipientFields(fields: readonly Field[], prefix: "" | "resent-"): Field[] {
  return fields.filter(({ name }) => [`${prefix}to`, `${prefix}cc`, `${prefix}bcc`].includes(name));
}

/**
 * First address of From, or of Resent-From where a message of another author is resent. Null when there is none. Throws AddressListError
 * when that is not known.
 */
export function headerSender(draft: Draft): string | null {
  const resent = newestResent(draft);
  const from = resent.length > 0
    ? resent.find(({ name }) => name === "resent-from")
    : draft.fields.find(({ name }) => name === "from");
  if (from === undefined) return null;
  const { text, repairedAt } = from;
  const { addresses, fault } = readAddressList(valueOf(repairedAt < 0 ? text : text.slice(0, repairedAt)));
  if (addresses.length === 0 && fault !== null) throw new AddressListError(`From: ${fault}`);
  return addresses[0] ?? null;
}

/**
 * The Resent- fields of the last resending. Each block is put in front of those before it and has a field of a name once; a list of
 * recipients may go on in a second field right behind the first. Other fields between them are forgiven, but for those of hosts on the way.
 */
function newestResent({ fields }: Draft): readonly Field[] {
  const block: Field[] = [];
  for (const field of fields) {
    if (TRACE.has(field.name) && block.length > 0) break;
    if (!field.name.startsWith("resent-")) continue;
    if (block.some(({ name }) => name === field.name) && block.at(-1)!.name !== field.name) break;
    block.push(field);
  }
  return block;
}

/** The message as it is submitted: without Bcc and Resent-Bcc, with From and Date, with long lines encoded. */
export function composeMessage(draft: Draft, completion: Completion): Uint8Array<ArrayBuffer> {
  const kept = draft.fields.filter(({ name }) => !BLIND.has(name) && name !== "from " && name !== "return-path");
  const has = (name: string) => kept.some((field) => field.name === name);
  let head = kept.map(({ text }) => text).join("");
  if (!has("from")) head += `From: ${toOctets(completion.from)}\n`;
  if (!has("date")) head += `Date: ${completion.date}\n`;
  let body: Uint8Array = draft.body;
  if (!has("content-transfer-encoding") && hasLongLine(body) && !isComposite(draft)) {
    if (!has("mime-version")) head += "MIME-Version: 1.0\n";
    if (!has("content-type")) head += "Content-Type: text/plain; charset=unknown-8bit\n";
    if (!has("content-disposition")) head += "Content-Disposition: inline\n";
    head += "Content-Transfer-Encoding: quoted-printable\n";
    body = encodeQuotedPrintable(body);
  }
  const top = latin1.encode(head + "\n");
  const message = new Uint8Array(top.length + body.length);
  message.set(top);
  message.set(body, top.length);
  return message;
}

/** The draft without its Bcc and Resent-Bcc, as it is kept for later. */
export function withoutBcc(draft: Draft): Uint8Array<ArrayBuffer> {
  const head = latin1.encode(
    draft.fields.filter(({ name }) => !BLIND.has(name)).map(({ text }) => text).join("") + "\n",
  );
  const kept = new Uint8Array(head.length + draft.body.length);
  kept.set(head);
  kept.set(draft.body, head.length);
  return kept;
}

/** RFC 2045 §6.4: multipart and message bodies must not be encoded as a whole. */
function isComposite(draft: Draft): boolean {
  const type = draft.fields.find(({ name }) => name === "content-type");
  return type !== undefined && /^\s*(multipart|message)\//i.test(valueOf(type.text));
}

function hasLongLine(body: Uint8Array): boolean {
  for (let at = 0; at < body.length;) {
    const end = body.indexOf(LF, at);
    const stop = end < 0 ? body.length : end;
    if (stop - at >= LONG_LINE) return true;
    at = stop + 1;
  }
  return false;
}

/** Unfolded text behind the colon, as UTF-8 where it is. */
function valueOf(field: string): string {
  const octets = latin1.encode(field.slice(field.indexOf(":") + 1).replace(/\n(?=[ \t])/g, "").trim());
  return new TextDecoder().decode(octets);
}

function toOctets(text: string): string {
  return latin1.decode(new TextEncoder().encode(text));
}
