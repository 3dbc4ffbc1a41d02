/**
 * Mailboxes, paths and domains as people and clients type them, RFC 5321 §4.1.2. Text in, values out; whether a mailbox exists is not
 * asked here.
 */

import { isIPv4, isIPv6 } from "node:net";
import { asciiDomain, isAscii, type Mailbox, type ReversePath } from "../../envelope/mod.ts";

/** Octets of a local part and of a domain. RFC 5321 §4.5.3.1 asks for at least 64 and 255. */
export const MAX_LOCAL_OCTETS = 255;
export const MAX_DOMAIN_OCTETS = 255;
/** Octets of a label of a domain, RFC 1035 §2.3.4: with more of them no name server can be asked. */
const MAX_LABEL_OCTETS = 63;

const ATEXT = 1;
const ALPHANUMERIC = 2;
const DOMAIN_INNER = 4;
/** What each ASCII character may be part of. */
const classes = new Uint8Array(128);
for (let code = 0; code < 128; code++) {
  const char = String.fromCharCode(code);
  if (/[A-Za-z0-9]/.test(char)) classes[code] = ATEXT | ALPHANUMERIC | DOMAIN_INNER;
  else if ("!#$%&'*/?^`{|}~+=".includes(char)) classes[code] = ATEXT;
  else if (char === "-" || char === "_") classes[code] = ATEXT | DOMAIN_INNER;
}

function isA(kind: typeof ATEXT | typeof ALPHANUMERIC | typeof DOMAIN_INNER, code: number): boolean {
  return code < 128 && (classes[code]! & kind) !== 0;
}

/**
 * True for a host name (labels of 1 to 63 letters, digits, `-` and `_`, the last two inside of them only; no dot at the end; one label will do) or
 * an address literal.
 */
export function isDomain(text: string): boolean {
  const length = text.length;
  if (length === 0 || length > MAX_DOMAIN_OCTETS) return false;
  if (text.charCodeAt(0) === 0x5b) return isAddressLiteral(text);
  let before = 0x2e, label = 0;
  for (let at = 0; at < length; at++, label++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (!isA(ALPHANUMERIC, before) || label > MAX_LABEL_OCTETS) return false;
      label = -1;
    } else if (!isA(before === 0x2e ? ALPHANUMERIC : DOMAIN_INNER, code)) return false;
    before = code;
  }
  return isA(ALPHANUMERIC, before) && label <= MAX_LABEL_OCTETS;
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]` of RFC 5321 §4.1.3; the tag may be missing, as OpenSMTPD has it. */
function isAddressLiteral(text: string): boolean {
  if (!text.endsWith("]")) return false;
  const inside = text.slice(1, -1);
  if (isIPv4(inside)) return true;
  const address = /^ipv6:/i.test(inside) ? inside.slice(5) : inside;
  return !address.includes("%") && isIPv6(address);
}

/** UTF8-non-ascii of RFC 6531 §3.3, without controls, line ends, byte order marks and what stands for bytes that are not UTF-8. */
function isBeyondAscii(code: number): boolean {
  return code >= 0xa0 && code !== 0xfffd && code !== 0xfeff && code !== 0x2028 && code !== 0x2029;
}

function isDotAtom(text: string): boolean {
  let before = 0x2e;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e ? before === 0x2e : !isA(ATEXT, code) && !isBeyondAscii(code)) return false;
    before = code;
  }
  return before !== 0x2e;
}

function isQuotable(code: number): boolean {
  return (code >= 0x20 && code <= 0x7e) || isBeyondAscii(code);
}

/** Index behind the closing quote of the quoted string that starts `text`, -1 when it does not end or holds what it may not. */
function quotedEnd(text: string): number {
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (!isQuotable(code)) return -1;
    if (code === 0x22) return at + 1;
    if (code === 0x5c) {
      // RFC 6531 §3.3 adds to what may be quoted, not to what a backslash may stand before.
      const quoted = text.charCodeAt(++at);
      if (!(quoted >= 0x20 && quoted <= 0x7e)) return -1;
    }
  }
  return -1;
}

/** RFC 5321 §4.1.2: the quoted and the bare form of a local part are the same mailbox, so the shortest form is kept. */
function canonicalQuoted(quoted: string): string {
  const content = quoted.slice(1, -1).replace(/\\(.)/g, "$1");
  return isDotAtom(content) ? content : `"${content.replace(/["\\]/g, "\\$&")}"`;
}

/** The source route `@a,@b:` of RFC 5321 appendix C must be accepted and ignored. Returns what follows, null when the colon is missing. */
function dropSourceRoute(text: string): string | null {
  let bracket = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b) bracket = true;
    else if (code === 0x5d) bracket = false;
    else if (code === 0x3a && !bracket) return text.slice(at + 1);
  }
  return null;
}

/**
 * A mailbox without angle brackets. A missing domain becomes `defaultDomain`; without one, it is an error. Null when it is not a mailbox.
 * A quoted local part that needs its quotes keeps them in `local`; a domain in U-labels becomes one in A-labels (RFC 6531 §3.3).
 */
export function parseMailbox(text: string, defaultDomain?: string): Mailbox | null {
  if (text.charCodeAt(0) === 0x40) {
    const target = dropSourceRoute(text);
    return target === null || target.charCodeAt(0) === 0x40 ? null : parseMailbox(target, defaultDomain);
  }
  const quoted = text.charCodeAt(0) === 0x22;
  let end = quoted ? quotedEnd(text) : text.indexOf("@");
  if (end === -1) {
    if (quoted) return null;
    end = text.length;
  }
  if (end === 0 || octets(text.slice(0, end)) > MAX_LOCAL_OCTETS) return null;
  let local = text.slice(0, end);
  if (quoted) local = canonicalQuoted(local);
  else if (!isDotAtom(local)) return null;
  if (end === text.length) return defaultDomain === undefined ? null : { local, domain: defaultDomain };
  if (text.charCodeAt(end) !== 0x40) return null;
  const domain = asciiDomain(text.slice(end + 1));
  return domain !== null && isDomain(domain) ? { local, domain } : null;
}

function octets(text: string): number {
  return isAscii(text) ? text.length : new TextEncoder().encode(text).length;
}

/** A path with what follows its `>`, blanks skipped: the parameters of MAIL and RCPT. `utf8`: it was written with more than ASCII. */
export type ParsedPath =
  | { readonly ok: true; readonly path: ReversePath; readonly rest: string; readonly utf8: boolean }
  /** `bare`: something stands right behind the `>`. */
  | { readonly ok: false; readonly bare: boolean };

const NOT_A_PATH: ParsedPath = { ok: false, bare: false };
const NO_BLANK: ParsedPath = { ok: false, bare: true };

/** `<…>` and what follows. `<>` gives the null path: the caller checks where that may stand. */
export function parsePath(text: string, defaultDomain: string): ParsedPath {
  if (text.charCodeAt(0) !== 0x3c) return NOT_A_PATH;
  const end = closingBracket(text);
  if (end === -1) return NOT_A_PATH;
  // RFC 5321 §4.1.1.2: a blank stands in front of the parameters.
  if (end + 1 < text.length && !/[ \t]/.test(text[end + 1]!)) return NO_BLANK;
  const rest = end + 1 === text.length ? "" : text.slice(end + 1).trimStart();
  if (end === 1) return { ok: true, path: null, rest, utf8: false };
  const inside = text.slice(1, end);
  const path = parseMailbox(inside, defaultDomain);
  return path === null ? NOT_A_PATH : { ok: true, path, rest, utf8: !isAscii(inside) };
}

/** What stands between the brackets of a path, as it was written; null where there are none. */
export function writtenPath(text: string): string | null {
  const end = text.charCodeAt(0) === 0x3c ? closingBracket(text) : -1;
  return end === -1 ? null : text.slice(1, end);
}

/** Index of the first `>` that does not stand in a quoted string. */
function closingBracket(text: string): number {
  let quoted = false;
  for (let at = 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) quoted = !quoted;
    else if (code === 0x5c && quoted) at++;
    else if (code === 0x3e && !quoted) return at;
  }
  return -1;
}
