/** Writes DER (X.690), as far as certificates need it: tag, length, value. Pure. */

const LONG_LENGTH = 0x80;

/** A value of any tag. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [tag, ...lengthOctets(length)];
  const all = new Uint8Array(head.length + length);
  all.set(head);
  let at = head.length;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** X.690 §8.1.3: one octet below 128, else how many octets follow, and these. */
function lengthOctets(length: number): number[] {
  if (length < LONG_LENGTH) return [length];
  const octets: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
  return [LONG_LENGTH | octets.length, ...octets];
}

export const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]) => der(0x31, ...parts);
export const octetString = (octets: Uint8Array) => der(0x04, octets);
/** Of whole octets. */
export const bitString = (octets: Uint8Array) => der(0x03, Uint8Array.of(0), octets);
export const boolean = (value: boolean) => der(0x01, Uint8Array.of(value ? 0xff : 0));
export const utf8String = (text: string) => der(0x0c, new TextEncoder().encode(text));
/** What stands in context-specific tag `number` as a whole: EXPLICIT. */
export const explicit = (number: number, part: Uint8Array) => der(0xa0 | number, part);
/** The octets of a string in place of its own tag: IMPLICIT, primitive. */
export const implicit = (number: number, octets: Uint8Array) => der(0x80 | number, octets);

/** An integer of unsigned octets, the highest first. */
export function integer(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = octets.findIndex((octet) => octet !== 0);
  const rest = start < 0 ? Uint8Array.of(0) : octets.subarray(start);
  return rest[0]! >= 0x80 ? der(0x02, Uint8Array.of(0), rest) : der(0x02, rest);
}

/** Takes an object identifier as text, such as 2.5.4.3. */
export function objectIdentifier(text: string): Uint8Array<ArrayBuffer> {
  const [first, second, ...rest] = text.split(".").map(Number);
  const octets = [first! * 40 + second!, ...rest].flatMap((arc) => {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(128 + left % 128);
    return digits;
  });
  return der(0x06, Uint8Array.from(octets));
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on. Takes milliseconds since the epoch. */
export function time(ms: number): Uint8Array<ArrayBuffer> {
  const digits = new Date(ms).toISOString().replace(/\.\d+Z$/, "Z").replace(/[-:T]/g, "");
  const long = Number(digits.slice(0, 4)) >= 2050;
  return der(long ? 0x18 : 0x17, new TextEncoder().encode(long ? digits : digits.slice(2)));
}

/** PEM text of DER octets (RFC 7468). */
export function pem(label: string, octets: Uint8Array): string {
  const lines = octets.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
