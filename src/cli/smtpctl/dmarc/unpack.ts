/**
 * Finds the reports in what a person has: XML, compressed by gzip, in a zip archive, or a whole mail with one of these attached. A stranger
 * made it: everything is bounded, and nothing is written.
 */

import { gunzipSync, inflateRawSync } from "node:zlib";
import PostalMime from "postal-mime";

/** Octets of what is read, and of all reports in it when they are unpacked: they are in memory together. */
export const MAX_INPUT_OCTETS = 32 * 2 ** 20, MAX_REPORT_OCTETS = 128 * 2 ** 20;
/** Reports in one archive or mail. */
const MAX_REPORTS = 20;
/** Of a mail: parts within parts, and octets of a header. */
const MAX_NESTED_PARTS = 10, MAX_HEADER_OCTETS = 2 ** 20;
/** Lines of a mail that may divide parts: what reads mail takes long for more. */
const MAX_BOUNDARY_LINES = 1000;

const LF = 0x0a, DASH = 0x2d;

/** What was given holds no report that can be read; the message says why. */
export class UnpackError extends Error {}

/** A report as XML, and what it was found in: the name of an attachment or of a member, "" for the input itself. */
export interface Packed {
  readonly name: string;
  readonly xml: Uint8Array;
}

/** What is left of MAX_REPORT_OCTETS. */
interface Room {
  octets: number;
}

/** Returns the reports in `input`, at least one. Throws UnpackError. */
export async function unpackReports(input: Uint8Array<ArrayBuffer>): Promise<Packed[]> {
  const room = { octets: MAX_REPORT_OCTETS };
  const found = unpack("", input, room) ?? await fromMail(input, room);
  if (found.length === 0) {
    throw new UnpackError("it holds no report: that is XML, alone, in gzip, in a zip archive, or attached to a mail");
  }
  return found;
}

/** Null for what is neither XML nor packed. */
function unpack(name: string, octets: Uint8Array<ArrayBuffer>, room: Room): Packed[] | null {
  if (octets[0] === 0x1f && octets[1] === 0x8b) return [{ name, xml: inflate(octets, gunzipSync, room) }];
  if (startsWith(octets, "PK\x03\x04")) return fromZip(octets, room);
  return isXml(octets) ? [{ name, xml: octets }] : null;
}

function isXml(octets: Uint8Array): boolean {
  return /^(?:\xef\xbb\xbf)?\s*</.test(String.fromCharCode(...octets.subarray(0, 200)));
}

function startsWith(octets: Uint8Array, mark: string): boolean {
  return [...mark].every((character, at) => octets[at] === character.charCodeAt(0));
}

/** Whatever it says of its size, no more than the bound is unpacked. */
function inflate(
  octets: Uint8Array<ArrayBuffer>,
  how: (octets: Uint8Array<ArrayBuffer>, options: { maxOutputLength: number }) => Uint8Array,
  room: Room,
): Uint8Array {
  try {
    const unpacked = how(octets, { maxOutputLength: Math.max(1, room.octets) });
    room.octets -= unpacked.length;
    return unpacked;
  } catch (error) {
    const large = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    throw new UnpackError(
      large ? `unpacked, it is larger than ${MAX_REPORT_OCTETS} octets` : "it cannot be unpacked: it is damaged",
    );
  }
}

/** Of an archive its members that end in `.xml`, by the directory at its end. Encrypted and divided archives are not read. */
function fromZip(octets: Uint8Array<ArrayBuffer>, room: Room): Packed[] {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const damaged = () => new UnpackError("the zip archive is damaged");
  const end = findDirectory(view);
  if (end < 0) throw damaged();
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  const found: Packed[] = [];
  for (let index = 0; index < count; index++) {
    if (at + 46 > octets.length || view.getUint32(at, true) !== 0x02014b50) throw damaged();
    const nameOctets = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(octets.subarray(at + 46, at + 46 + nameOctets));
    const member = {
      encrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      size: view.getUint32(at + 20, true),
      header: view.getUint32(at + 42, true),
    };
    at += 46 + nameOctets + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    if (!/\.xml$/i.test(name)) continue;
    if (found.length === MAX_REPORTS) throw new UnpackError(`the zip archive holds more than ${MAX_REPORTS} reports`);
    if (member.encrypted) throw new UnpackError("the zip archive is encrypted");
    const { header, size, method } = member;
    if (header + 30 > octets.length || view.getUint32(header, true) !== 0x04034b50) throw damaged();
    const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
    if (start + size > octets.length) throw damaged();
    const data = octets.subarray(start, start + size);
    if (method !== 0 && method !== 8) {
      throw new UnpackError(`the zip archive is packed by method ${method}, which is not read`);
    }
    found.push({ name, xml: method === 0 ? data : inflate(data, inflateRawSync, room) });
  }
  return found;
}

/** A comment of up to 64 KiB may stand behind it. */
function findDirectory(view: DataView): number {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 65_535); at--) {
    if (view.getUint32(at, true) === 0x06054b50) return at;
  }
  return -1;
}

/** Counts the lines that begin with `--`. */
function hasManyParts(input: Uint8Array): boolean {
  let lines = 0;
  for (let at = input.indexOf(LF); at >= 0 && lines <= MAX_BOUNDARY_LINES; at = input.indexOf(LF, at + 1)) {
    if (input[at + 1] === DASH && input[at + 2] === DASH) lines++;
  }
  return lines > MAX_BOUNDARY_LINES;
}

async function fromMail(input: Uint8Array<ArrayBuffer>, room: Room): Promise<Packed[]> {
  // What has no header field is no mail.
  if (!/^(?:From |[!-9;-~]+[ \t]*:)/.test(String.fromCharCode(...input.subarray(0, 200)))) return [];
  if (hasManyParts(input)) throw new UnpackError(`the mail has more than ${MAX_BOUNDARY_LINES} lines between parts`);
  let mail;
  try {
    mail = await PostalMime.parse(input, {
      maxNestingDepth: MAX_NESTED_PARTS,
      maxHeadersSize: MAX_HEADER_OCTETS,
      attachmentEncoding: "arraybuffer",
    });
  } catch {
    throw new UnpackError("the mail is malformed, or its parts are nested too deep");
  }
  const found: Packed[] = [];
  for (const { filename, content } of mail.attachments) {
    if (!(content instanceof ArrayBuffer)) continue;
    const name = filename ?? "";
    const inside = unpack(name, new Uint8Array(content), room) ?? [];
    found.push(...inside.map((one) => one.name === "" ? { ...one, name } : one));
    if (found.length > MAX_REPORTS) throw new UnpackError(`the mail holds more than ${MAX_REPORTS} reports`);
  }
  if (found.length === 0 && /^\s*</.test(mail.text ?? "")) {
    found.push({ name: "", xml: new TextEncoder().encode(mail.text) });
  }
  return found;
}
