/** Command lines of a transaction, built from envelope values. Pure; nothing that could end a line early gets into one. */

import { type Charset, isAscii, NOTIFY } from "../envelope/mod.ts";
import type { Capabilities } from "./capabilities.ts";

/** One recipient of a transaction, with its own DSN parameters (RFC 3461 §4). */
export interface Recipient {
  /** `local@domain`. */
  readonly address: string;
  /** Bits of NOTIFY of src/envelope; 0 or absent for none. */
  readonly notify?: number;
  /** `addr-type;xtext` as it was received; "" or absent for none. */
  readonly orcpt?: string;
}

/** The sender of a message and what it asks for. */
export interface Sender {
  /** `local@domain`, "" for the null reverse-path. */
  readonly sender: string;
  readonly ret?: "FULL" | "HDRS" | "";
  /** xtext as it was received. */
  readonly envid?: string;
}

const UTF8_PARAMETER = /^[\x21-\x7e\u00a0-\u{10ffff}]{1,500}$/u;
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;
/** xtext and `type;xtext` of RFC 3461 §4: printable ASCII without a space. */
const PARAMETER = /^[\x21-\x7e]{1,500}$/;

/** False for an address that would end the command line or the path early. */
export function isSendable(address: string): boolean {
  if (address.length > 1000 || CONTROL.test(address)) return false;
  // `>` and spaces stand only inside a quoted local part.
  return !/[<> ]/.test(address.replace(/^"(?:[^"\\]|\\.)*"@/, ""));
}

/** `MAIL FROM:<…>` with the parameters that the server offers. `bytes` is the size for SIZE=, RFC 1870 §6: octets as they are sent. */
export function mailCommand(
  sender: Sender,
  capabilities: Capabilities,
  message: { bytes: number; eightBit: boolean; utf8: boolean; requireTls: boolean },
): string {
  let line = `MAIL FROM:<${sender.sender}>`;
  if (capabilities.size !== null && message.bytes > 0) line += ` SIZE=${message.bytes}`;
  if (capabilities.eightBitMime && (message.eightBit || message.utf8)) line += " BODY=8BITMIME";
  if (capabilities.smtpUtf8 && message.utf8) line += " SMTPUTF8";
  if (message.requireTls) line += " REQUIRETLS";
  if (!capabilities.dsn) return line + "\r\n";
  if (sender.ret) line += ` RET=${sender.ret}`;
  if (sender.envid && PARAMETER.test(sender.envid)) line += ` ENVID=${sender.envid}`;
  return line + "\r\n";
}

/** `RCPT TO:<…>` with NOTIFY and ORCPT when the server offers DSN. `charset`: that of an ORCPT, UTF-8 where MAIL was given with SMTPUTF8. */
export function rcptCommand(recipient: Recipient, capabilities: Capabilities, charset: Charset): string {
  let line = `RCPT TO:<${recipient.address}>`;
  if (!capabilities.dsn) return line + "\r\n";
  if (recipient.notify) line += ` NOTIFY=${notifyWords(recipient.notify)}`;
  const orcpt = originalRecipient(recipient.orcpt ?? "", charset);
  if (orcpt !== null) line += ` ORCPT=${orcpt}`;
  return line + "\r\n";
}

/** RFC 6533 §3: an original recipient in UTF-8 is sent as it is, or in ASCII with `\x{…}` where SMTPUTF8 was not given. */
function originalRecipient(orcpt: string, charset: Charset): string | null {
  if (orcpt === "") return null;
  if (isAscii(orcpt)) return PARAMETER.test(orcpt) ? orcpt : null;
  if (!/^utf-8;/i.test(orcpt) || !UTF8_PARAMETER.test(orcpt)) return null;
  const ascii = orcpt.replace(/[^\x21-\x7e]/gu, (char) => `\\x{${char.codePointAt(0)!.toString(16).toUpperCase()}}`);
  if (charset === "utf-8") return orcpt;
  return PARAMETER.test(ascii) ? ascii : null;
}

/** RFC 3461 §4.1: NEVER stands alone. */
function notifyWords(notify: number): string {
  if (notify & NOTIFY.NEVER) return "NEVER";
  const words: string[] = [];
  if (notify & NOTIFY.SUCCESS) words.push("SUCCESS");
  if (notify & NOTIFY.FAILURE) words.push("FAILURE");
  if (notify & NOTIFY.DELAY) words.push("DELAY");
  return words.join(",");
}
