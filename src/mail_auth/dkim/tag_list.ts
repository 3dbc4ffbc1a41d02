/** Tag lists, RFC 6376 §3.2, as signatures, key records and ARC fields have them. Knows the meaning of no tag. */

import { Buffer } from "node:buffer";

/** The value of each tag, without blanks at its ends; those within are kept. */
export type TagList = ReadonlyMap<string, string>;

const SPEC = /^[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([^]*)$/;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/**
 * Reads `name=value; name=value;`, the last semicolon at will. Null for what is none: a name twice, an empty specification, a control
 * character. Names are compared case by case. What is beyond ASCII may stand in values (RFC 8616 §5).
 */
export function parseTagList(text: string): TagList | null {
  if (CONTROLS.test(text)) return null;
  const specs = text.split(";");
  if (specs.length > 1 && isBlank(specs.at(-1)!)) specs.pop();
  const tags = new Map<string, string>();
  for (const spec of specs) {
    const [, name, value] = SPEC.exec(spec) ?? [];
    if (name === undefined || tags.has(name)) return null;
    tags.set(name, trimBlanks(value!));
  }
  return tags;
}

const isBlank = (text: string): boolean => trimBlanks(text) === "";

/** Returns the text without blanks and line ends at its ends. */
export function trimBlanks(text: string): string {
  const from = /[^ \t\r\n]/.exec(text)?.index ?? text.length;
  let end = text.length;
  while (end > from && " \t\r\n".includes(text[end - 1]!)) end--;
  return text.slice(from, end);
}

/** Returns the elements of a list with colons between, without the blanks that may stand there (RFC 6376 §3.5). */
export function splitColons(value: string): string[] {
  return value.split(":").map(trimBlanks);
}

/** Returns the octets of a base64 value, in which blanks may stand anywhere; null for what is none. */
export function base64Octets(value: string): Uint8Array | null {
  const text = value.replace(/[ \t\r\n]+/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.replace(/=+$/, "").length % 4 === 1) return null;
  return new Uint8Array(Buffer.from(text, "base64"));
}
