/**
 * Internationalised domain names, RFC 5890: U-labels as people write them, A-labels as DNS and ASCII tables have them. Both name the same domain;
 * whatever is stored or compared here is in A-labels. Handles no addresses; see address.ts.
 */

import { builtin } from "../builtin.ts";

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** What a text for another server, or in a report, may be written in: UTF-8 where SMTPUTF8 was given. */
export type Charset = "us-ascii" | "utf-8";

/** Returns true for a text that needs no SMTPUTF8 (RFC 6531). */
export function isAscii(text: string): boolean {
  return ASCII.test(text);
}

/**
 * The domain (or a pattern of one, with `*`) in A-labels. ASCII stays as it is; null when what is beyond ASCII stands in no domain name
 * (RFC 5891 §4.2, by the mapping of UTS 46).
 */
export function asciiDomain(domain: string): string | null {
  if (isAscii(domain)) return domain;
  // What a URL's host would let through, or read as something else, is no part of a domain.
  if (!/^[A-Za-z0-9._*\-\u0080-\u{10ffff}]+$/u.test(domain)) return null;
  const ascii = builtin("node:url").domainToASCII(domain);
  return ascii === "" ? null : ascii;
}

/** The lower-case domain in U-labels where it has A-labels that can be read, else as it is. */
export function unicodeDomain(domain: string): string {
  if (!/(?:^|\.)xn--/i.test(domain)) return domain;
  const unicode = builtin("node:url").domainToUnicode(domain);
  return unicode === "" || unicode.includes("\ufffd") ? domain : unicode;
}

/** An address, or a pattern of addresses, with what stands behind its last `@` in A-labels, where that can be done. */
export function asciiAddress(text: string): string {
  const at = text.lastIndexOf("@") + 1;
  return at === 0 ? text : text.slice(0, at) + (asciiDomain(text.slice(at)) ?? text.slice(at));
}
