/** DNS messages: the question we ask, and what a response says about exactly that question. Pure; the wire format is dns-packet's. */

import { Buffer } from "node:buffer";
import packet from "dns-packet";

export type RecordType = "A" | "AAAA" | "CAA" | "MX" | "PTR" | "TLSA" | "TXT";

export interface MxRecord {
  readonly preference: number;
  /** Lower case, without the last dot; "" for the root of a null MX. */
  readonly exchange: string;
}

/** What a response says. `alias` is the end of a chain of CNAMEs that the response did not follow to records. */
export interface Response {
  /** badquery: the server does not understand the question, perhaps for its EDNS. failed: it does not know the answer now. */
  readonly code: "ok" | "nxdomain" | "badquery" | "failed";
  /** The same in the words of RFC 1035 §4.1.1 and its successors, such as SERVFAIL; `referral` for a server that only names others. */
  readonly rcode: string;
  readonly truncated: boolean;
  /**
   * A, AAAA: addresses; PTR: names; MX: "preference name"; TXT: the strings joined, one character per octet; CAA: "flags tag value"; TLSA: "usage selector
   * type hexadecimal".
   */
  readonly records: readonly string[];
  readonly alias: string | null;
  /** The name whose records they are, where CNAMEs of the response lead to another than was asked for. */
  readonly canonical?: string;
  /** Seconds that the answer, or its absence, may be kept. */
  readonly ttl: number;
}

/** The parts of dns-packet's results that are looked at; the package has no types. */
interface RawRecord {
  readonly type: string;
  /** Of an OPT record: the upper eight bits of the response code, RFC 6891 §6.1.3. */
  readonly extendedRcode?: number;
  readonly name: string;
  readonly ttl?: number;
  readonly data?: unknown;
}
interface RawPacket {
  readonly type: string;
  readonly id: number;
  readonly rcode?: string;
  readonly flag_aa?: boolean;
  readonly flag_tc?: boolean;
  readonly questions: readonly RawRecord[];
  readonly answers: readonly RawRecord[];
  readonly authorities: readonly RawRecord[];
  readonly additionals: readonly RawRecord[];
}

/** Octets of a UDP response that we take: fits an Ethernet frame (the DNS flag day's number). */
const UDP_PAYLOAD = 1232;
const MAX_RECORDS = 64;
/** How long the absence of an answer may be kept, seconds (RFC 2308 §5 leaves it to us). */
const MAX_NEGATIVE_TTL_SECONDS = 300;

/** Returns the octets of a question (RFC 1035 §4.1.2), with `edns` one that takes answers of more than 512 octets (RFC 6891 §6.2.3). */
export function encodeQuery(
  { id, name, type, edns }: {
    readonly id: number;
    readonly name: string;
    readonly type: RecordType;
    readonly edns: boolean;
  },
): Uint8Array {
  const additionals = edns
    ? [{ type: "OPT", name: ".", udpPayloadSize: UDP_PAYLOAD, extendedRcode: 0, ednsVersion: 0, flags: 0, options: [] }]
    : [];
  const query = {
    type: "query",
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name, class: "IN" }],
    additionals,
  };
  return packet.encode(query as never) as Uint8Array;
}

/**
 * Reads a response; null for anything that is not the response to this question: it may be forged, so go on waiting. A server that cannot
 * make sense of a question may leave it out of its error (RFC 6891 §7): then the id alone says what is answered, as RFC 1035 §7.3 has it.
 */
export function decodeResponse(bytes: Uint8Array, id: number, name: string, type: RecordType): Response | null {
  return withoutQuestion(bytes, id) ?? withQuestion(bytes, id, name, type);
}

/** Octets of a DNS header, RFC 1035 §4.1.1. */
const HEADER_OCTETS = 12;
/** What a server answers that does not understand the question, or refuses it: FORMERR, SERVFAIL, NOTIMP, REFUSED. */
const ERROR_CODES: Readonly<Record<number, string>> = { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" };

/** An error that is a header and nothing else, or says that it repeats no question. */
function withoutQuestion(bytes: Uint8Array, id: number): Response | null {
  if (bytes.length < HEADER_OCTETS || bytes[0]! * 256 + bytes[1]! !== id || (bytes[2]! & 0x80) === 0) return null;
  const error = ERROR_CODES[bytes[3]! & 0x0f];
  const questions = bytes[4]! * 256 + bytes[5]!;
  if (error === undefined || (questions > 0 && bytes.length > HEADER_OCTETS)) return null;
  return errorResponse(error);
}

/** What a server says that gives no answer: nothing is known of the name. */
function errorResponse(rcode: string): Response {
  return { code: responseCode(rcode), rcode, truncated: false, records: [], alias: null, ttl: 0 };
}

function withQuestion(bytes: Uint8Array, id: number, name: string, type: RecordType): Response | null {
  let raw: RawPacket;
  try {
    raw = packet.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)) as unknown as RawPacket;
  } catch {
    return null;
  }
  if (raw.type !== "response" || raw.id !== id) return null;
  const extended = extendedCode(bytes, raw);
  // As with the errors of RFC 1035, the question may be missing.
  if (extended !== null && raw.questions.length === 0) return errorResponse(extended);
  if (raw.questions.length !== 1) return null;
  const question = raw.questions[0]!;
  if (question.type !== type || question.name.toLowerCase() !== name) return null;
  if (extended !== null) return errorResponse(extended);
  const { records, alias, ttl, ...behind } = follow(raw.answers, name, type);
  const rcode = records.length === 0 && alias === null && isReferral(raw) ? "referral" : raw.rcode ?? "UNKNOWN";
  return {
    code: responseCode(rcode),
    rcode,
    truncated: raw.flag_tc === true,
    records,
    alias,
    ...behind,
    ttl: records.length > 0 ? ttl : negativeTtl(raw.authorities),
  };
}

/** RFC 6891 §9. */
const BADVERS = "BADVERS";

/** The response code where an OPT record extends that of the header, RFC 6891 §6.1.3: always an error. null for none. */
function extendedCode(bytes: Uint8Array, { additionals }: RawPacket): string | null {
  const upper = additionals.find(({ type }) => type === "OPT")?.extendedRcode ?? 0;
  if (upper === 0) return null;
  const code = upper * 16 + (bytes[3]! & 0x0f);
  return code === 16 ? BADVERS : `RCODE_${code}`;
}

/** A server that does not ask others for us names those to ask instead (RFC 2308 §2.2): that says nothing of the name. */
function isReferral({ rcode, flag_aa: authoritative, answers, authorities }: RawPacket): boolean {
  const has = (type: string) => authorities.some((record) => record.type === type);
  return rcode === "NOERROR" && authoritative !== true && answers.length === 0 && has("NS") && !has("SOA");
}

function responseCode(code: string): Response["code"] {
  switch (code) {
    case "NOERROR":
      return "ok";
    case "NXDOMAIN":
      return "nxdomain";
    case "FORMERR":
    case "NOTIMP":
    case BADVERS:
      return "badquery";
    default:
      return "failed";
  }
}

/** Only records of the name that was asked for, or of the names that its CNAMEs lead to, are used. */
function follow(
  answers: readonly RawRecord[],
  name: string,
  type: RecordType,
): Pick<Response, "records" | "alias" | "ttl" | "canonical"> {
  let current = name;
  let ttl = Infinity;
  for (let hops = 0; hops < 16; hops++) {
    const own = answers.filter((record) => record.name.toLowerCase() === current);
    const found = own.filter((record) => record.type === type);
    if (found.length > 0) {
      for (const record of found) ttl = Math.min(ttl, record.ttl ?? 0);
      const records = found.slice(0, MAX_RECORDS).map((record) => recordText(type, record.data));
      return { records, alias: null, ttl, ...hops === 0 ? {} : { canonical: current } };
    }
    const alias = own.find((record) => record.type === "CNAME");
    if (alias === undefined) return { records: [], alias: hops === 0 ? null : current, ttl };
    ttl = Math.min(ttl, alias.ttl ?? 0);
    current = String(alias.data).toLowerCase();
  }
  return { records: [], alias: current, ttl };
}

/** As dns-packet has it. */
interface TlsaData {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly certificate: Uint8Array;
}

function recordText(type: RecordType, data: unknown): string {
  // Longer than 65535 octets no record is.
  if (type === "TXT") return Buffer.concat([data].flat() as Uint8Array[]).toString("latin1");
  if (type === "CAA") {
    const { flags = 0, tag, value } = data as { flags?: number; tag: string; value: string };
    return `${flags} ${tag.toLowerCase()} ${value}`;
  }
  if (type === "TLSA") {
    const { usage, selector, matchingType, certificate } = data as TlsaData;
    return `${usage} ${selector} ${matchingType} ${Buffer.from(certificate).toString("hex")}`;
  }
  if (type !== "MX") return String(data).toLowerCase();
  const { preference, exchange } = data as { preference: number; exchange: string };
  return `${preference} ${exchange === "." ? "" : exchange.toLowerCase()}`;
}

/** Reads an MX record as `decodeResponse` gives it, "10 mx.example.org"; the name is "" for a null MX (RFC 7505 §3). */
export function parseMxRecord(text: string): MxRecord {
  const space = text.indexOf(" ");
  return { preference: Number(text.slice(0, space)), exchange: text.slice(space + 1) };
}

function negativeTtl(authorities: readonly RawRecord[]): number {
  const soa = authorities.find((record) => record.type === "SOA");
  const minimum = (soa?.data as { minimum?: number } | undefined)?.minimum ?? 0;
  return Math.min(MAX_NEGATIVE_TTL_SECONDS, soa?.ttl ?? 0, minimum);
}
