/** What of a message may go to a server that offers this, and the MAIL command that begins it: all that is decided before anything is sent. Pure. */

import { type Handling, isAscii } from "../envelope/mod.ts";
import type { Capabilities } from "./capabilities.ts";
import { isSendable, mailCommand, type Sender } from "./commands.ts";
import type { TlsInfo } from "./tls.ts";

/** What the envelope of a message asks of the server. */
export interface Wanted extends Sender {
  readonly handling?: Handling;
}

/** Why something is not sent; a code of RFC 3463. */
export interface Refusal {
  readonly text: string;
  readonly enhanced?: string;
}

/** The server, as far as it is known before the transaction. */
export interface Peer {
  readonly capabilities: Capabilities;
  /** Null without TLS. */
  readonly tls: Pick<TlsInfo, "verified"> | null;
}

/** The message as it is sent. */
export interface Wire {
  /** RFC 1870 §5: with CRLF. */
  readonly octets: number;
  /** It may have octets beyond ASCII. */
  readonly eightBit: boolean;
}

/** RFC 6531 §3.5. */
const NO_UTF8: Refusal = { text: "SMTPUTF8 is required but the server does not offer it", enhanced: "5.6.7" };
/** RFC 8689 §4.2.1. */
export const NO_REQUIRETLS_CODE = "5.7.30";

/** RFC 8689 §4.2.1: why a message with REQUIRETLS must not go by a connection; null when it may. */
export function requireTlsObstacle(tls: Peer["tls"], { requireTls }: Pick<Capabilities, "requireTls">): string | null {
  if (tls === null) return "REQUIRETLS: the connection to the next host is not under TLS";
  if (!tls.verified) return "REQUIRETLS: the certificate of the next host is not valid for it";
  return requireTls ? null : "REQUIRETLS: the next host does not offer it";
}

/** Returns why the message cannot go to this server, whatever its size; null when it can. */
export function messageRefusal({ sender, handling }: Wanted, { capabilities, tls }: Peer): Refusal | null {
  const { utf8Header = false, requireTls = false } = handling ?? {};
  if (!isSendable(sender)) return { text: "Invalid sender address" };
  const unsafe = requireTls ? requireTlsObstacle(tls, capabilities) : null;
  if (unsafe !== null) return { text: unsafe, enhanced: NO_REQUIRETLS_CODE };
  // RFC 6531 §3.5: without the extension such an address, or such a header, cannot be sent.
  return (!isAscii(sender) || utf8Header) && !capabilities.smtpUtf8 ? NO_UTF8 : null;
}

/** RFC 1870 §5: returns why a message of so many octets as they are sent is too large for the server; null when it is not. */
export function sizeRefusal(octets: number, { size }: Pick<Capabilities, "size">): Refusal | null {
  const over = size !== null && size > 0 && octets > size;
  return over ? { text: "message too large for peer", enhanced: "5.3.4" } : null;
}

/** Returns why this address cannot be given to the server; null when it can. */
export function recipientRefusal(address: string, { smtpUtf8 }: Pick<Capabilities, "smtpUtf8">): Refusal | null {
  if (!isSendable(address)) return { text: "Invalid recipient address", enhanced: "5.1.3" };
  return !smtpUtf8 && !isAscii(address) ? NO_UTF8 : null;
}

/** Returns the MAIL command for a message that goes to these addresses, none of which is refused here, and whether it has SMTPUTF8. */
export function preparedMail(
  wanted: Wanted,
  addresses: readonly string[],
  capabilities: Capabilities,
  { octets, eightBit }: Wire,
): { readonly line: string; readonly utf8: boolean } {
  const { smtpUtf8 = false, requireTls = false } = wanted.handling ?? {};
  const utf8 = capabilities.smtpUtf8 && (smtpUtf8 || !isAscii(wanted.sender) || !addresses.every(isAscii));
  return { line: mailCommand(wanted, capabilities, { bytes: octets, eightBit, utf8, requireTls }), utf8 };
}

/** Returns whether the octets are not all ASCII. */
export function isEightBit(bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) if (bytes[index]! > 127) return true;
  return false;
}
