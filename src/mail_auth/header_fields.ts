/**
 * The header section of a message as a list of fields, on octets, and the domain that its From names. For everything that checks or signs mail;
 * changes nothing. Lines end with LF. See from_addresses.ts for the addresses themselves.
 */

import { Buffer } from "node:buffer";
import { readDomains } from "./from_addresses.ts";

/** Octets of a From field that is read; a longer one is `invalid`. It has one address or a few. */
export const MAX_FROM_OCTETS = 16384;

const LF = 0x0a, TAB = 0x09, SPACE = 0x20, COLON = 0x3a;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One field with the lines that continue it, or a line that is no field. */
export class HeaderField {
  /** In lower case, without the blanks that may stand before the colon (RFC 5322 §4.5); "" for a line that is no field. */
  readonly name: string;
  /** As it stands in the message, with its line ends. */
  readonly octets: Uint8Array;
  /** The place behind the colon in `octets`; its length for a line that is no field. */
  readonly bodyStart: number;

  constructor(octets: Uint8Array) {
    this.octets = octets;
    const colon = octets.indexOf(COLON);
    const written = colon < 0 ? "" : latin1(octets.subarray(0, colon));
    // Blanks at the end alone; a search from the front would be quadratic.
    let end = written.length;
    while (end > 0 && (written.charCodeAt(end - 1) === SPACE || written.charCodeAt(end - 1) === TAB)) end--;
    const name = written.slice(0, end);
    const isField = /^[\x21-\x39\x3b-\x7e]+$/.test(name);
    this.name = isField ? name.toLowerCase() : "";
    this.bodyStart = isField ? colon + 1 : octets.length;
  }

  /** Returns what stands behind the colon as UTF-8 (U+FFFD for what is none), unfolded (RFC 5322 §2.2.3), without blanks at its ends. */
  value(): string {
    return decoder.decode(this.octets.subarray(this.bodyStart)).replace(/\r?\n/g, "").replace(/^[ \t]+/, "")
      .replace(/(?<![ \t])[ \t]+$/, "");
  }
}

/** Returns one character per octet. */
export function latin1(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("latin1");
}

/**
 * Splits a header section, without the empty line that ends it, into its fields from top to bottom. Their octets one after the other are the
 * section. Never throws: what is no field (RFC 5322 §2.2), such as the `From ` line of an mbox file, has the name "".
 */
export function headerFields(block: Uint8Array): readonly HeaderField[] {
  const fields: HeaderField[] = [];
  let start = 0;
  while (start < block.length) {
    let end = start;
    do {
      const newline = block.indexOf(LF, end);
      end = newline < 0 ? block.length : newline + 1;
    } while (end < block.length && (block[end] === SPACE || block[end] === TAB));
    fields.push(new HeaderField(block.subarray(start, end)));
    start = end;
  }
  return fields;
}

/** Whom the message claims to be from: the domain of its author (RFC 9989 §4.2), or why there is no such domain. */
export type FromDomains =
  | { readonly kind: "one"; readonly domain: string }
  | { readonly kind: "several" | "none" | "invalid" };

/**
 * Returns the one domain of all addresses in From, in lower case and A-labels. `several`: more than one From field, or more than one domain.
 * `none`: no From field, or one without an address. `invalid`: not all of it can be read (RFC 5322 §3.4), an address has no
 * domain name, or it is too long.
 */
export function fromDomains(fields: readonly HeaderField[]): FromDomains {
  const from = fields.filter(({ name }) => name === "from");
  if (from.length > 1) return { kind: "several" };
  const [field] = from;
  if (field === undefined) return { kind: "none" };
  const domains = field.octets.length > MAX_FROM_OCTETS ? null : readDomains(field.value());
  if (domains === null) return { kind: "invalid" };
  const [domain] = domains;
  if (domain === undefined) return { kind: "none" };
  return domains.size === 1 ? { kind: "one", domain } : { kind: "several" };
}
