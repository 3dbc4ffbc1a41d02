/** Addresses and texts as the fields of a delivery status have them, RFC 3464 and RFC 6533. Pure; the DSN is put together in compose.ts. */

import { type Charset, formatMailbox, isAscii, type Mailbox } from "../../envelope/mod.ts";

/** Text lines are cut here: RFC 5322 §2.1.1 allows 998 octets. */
const MAX_LINE_CHARS = 900;

/**
 * One line without controls: what other servers said must not become a header or a part of its own. ASCII alone, unless the report's
 * `charset` is UTF-8.
 */
export function oneLine(text: string, charset: Charset = "us-ascii"): string {
  // deno-lint-ignore no-control-regex
  const unfit = charset === "utf-8" ? /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g : /[^\x20-\x7e]/g;
  const clean = text.replace(unfit, "?");
  return Array.from(clean).slice(0, isAscii(clean) ? MAX_LINE_CHARS : MAX_LINE_CHARS / 4).join("");
}

/** RFC 3461 §4: "+" and two hex digits stand for an octet. */
export function decodeXtext(text: string): string {
  return text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

/** `type; address` for Final-Recipient. RFC 6533 §3: an address beyond ASCII is of type utf-8, and written with `\\x{…}` where UTF-8 may not be. */
export function finalRecipient(mailbox: Mailbox, charset: Charset): string {
  const address = formatMailbox(mailbox);
  if (isAscii(address)) return oneLine(`rfc822; ${address}`);
  return oneLine(`utf-8; ${charset === "utf-8" ? address : escaped(address)}`, charset);
}

/** `type; address` for Original-Recipient, of an ORCPT as the client sent it. */
export function originalRecipient(orcpt: string, charset: Charset): string {
  const semicolon = orcpt.indexOf(";");
  const type = orcpt.slice(0, semicolon), address = orcpt.slice(semicolon + 1);
  if (!/^utf-8$/i.test(type)) return oneLine(`${type}; ${decodeXtext(address)}`);
  const plain = decodeXtext(address).replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (written, hex) => character(hex) ?? written);
  return oneLine(`utf-8; ${charset === "utf-8" ? plain : escaped(plain)}`, charset);
}

/** The character of this code point, null for what is none that an address may have. */
function character(hex: string): string | null {
  const code = parseInt(hex, 16);
  const good = code >= 0x20 && code !== 0x7f && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return good ? String.fromCodePoint(code) : null;
}

/** RFC 6533 §3, utf-8-addr-xtext: all in ASCII, with `\\x{…}` for what is not, and for the characters that mean something there. */
function escaped(text: string): string {
  return text.replace(/[^\x21-\x7e]|[+=\\]/gu, (char) => `\\x{${char.codePointAt(0)!.toString(16).toUpperCase()}}`);
}
