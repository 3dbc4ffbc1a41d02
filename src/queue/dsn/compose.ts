/**
 * The text of a DSN (delivery status notification) to the sender: a multipart/report of RFC 3462 with a delivery status of RFC 3464, of
 * RFC 6533 where the original was given with SMTPUTF8. Pure; lines end with LF, as all stored bodies do.
 */

import { formatDate } from "../../date.ts";
import { ipVersion } from "../../net/mod.ts";
import { formatMailbox, isAscii } from "../../envelope/mod.ts";
import { decodeXtext, finalRecipient, oneLine, originalRecipient } from "./delivery_status.ts";
import { charsetOf, type Dsn } from "./dsn.ts";
import { explanation } from "./explanation.ts";

export type { Dsn, DsnRecipient } from "./dsn.ts";

/** Returns the text of a DSN as it is stored: header section and body. Lines end with LF; never throws. */
export function composeDsn(dsn: Dsn): Uint8Array<ArrayBuffer> {
  const eightBit = isEightBit(dsn.original);
  const words = explanation(dsn).join("\n");
  const status = deliveryStatus(dsn).join("\n");
  const plainWords = isAscii(words), plainStatus = isAscii(status);
  const head = [
    ...headers(dsn, { eightBit: eightBit || !plainWords || !plainStatus }),
    "",
    "This is a report about the delivery of a message, in MIME format.",
    "",
    ...part(dsn.boundary, {
      type: `text/plain; charset=${plainWords ? "us-ascii" : "utf-8"}`,
      description: "Notification",
      eightBit: !plainWords,
    }),
    words,
    "",
    ...part(dsn.boundary, {
      type: plainStatus ? "message/delivery-status" : "message/global-delivery-status",
      description: "Delivery Report",
      eightBit: !plainStatus,
    }),
    status,
    ...part(dsn.boundary, {
      type: returnedType(dsn),
      description: dsn.complete ? "Message" : "Message headers",
      eightBit,
    }),
    "",
  ].join("\n");
  const original = endLine(dsn.original);
  return join([new TextEncoder().encode(head), original, new TextEncoder().encode(`\n--${dsn.boundary}--\n`)]);
}

/** RFC 6533 §6: what has more than ASCII in its header section is returned as `global`, to those who sent it with SMTPUTF8. */
function returnedType({ original, complete, handling }: Dsn): string {
  const global = handling?.smtpUtf8 && isEightBit(headerSection(original));
  if (complete) return global ? "message/global" : "message/rfc822";
  return global ? "message/global-headers" : "text/rfc822-headers";
}

function isEightBit(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte > 0x7f);
}

/** The header section with its last line's LF, without the empty line; all of it when there is no empty line. */
export function headerSection(body: Uint8Array): Uint8Array {
  if (body[0] === 0x0a) return body.subarray(0, 0);
  for (let at = body.indexOf(0x0a); at >= 0; at = body.indexOf(0x0a, at + 1)) {
    if (body[at + 1] === 0x0a) return body.subarray(0, at + 1);
  }
  return body;
}

function headers(dsn: Dsn, { eightBit }: { readonly eightBit: boolean }): string[] {
  return [
    `Subject: Delivery status notification: ${dsn.kind}`,
    `From: Mailer Daemon <MAILER-DAEMON@${dsn.smtpname}>`,
    `To: ${formatMailbox(dsn.to)}`,
    `Date: ${formatDate(new Date(dsn.now), 0)}`,
    `Message-ID: <${dsn.messageId}@${dsn.smtpname}>`,
    // RFC 3834 §5: keeps vacation programs quiet.
    "Auto-Submitted: auto-replied",
    // RFC 8689 §5: what was said of the original holds for what is said about it.
    ...(dsn.handling?.tlsOptional ? ["TLS-Required: No"] : []),
    "MIME-Version: 1.0",
    "Content-Type: multipart/report; report-type=delivery-status;",
    `\tboundary="${dsn.boundary}"`,
    ...(eightBit ? ["Content-Transfer-Encoding: 8bit"] : []),
  ];
}

interface Part {
  readonly type: string;
  readonly description: string;
  readonly eightBit: boolean;
}

/** The lines with which a part of the multipart/report begins. */
function part(boundary: string, { type, description, eightBit }: Part): string[] {
  return [
    `--${boundary}`,
    `Content-Description: ${description}`,
    `Content-Type: ${type}`,
    ...(eightBit ? ["Content-Transfer-Encoding: 8bit"] : []),
    "",
  ];
}

/** RFC 3464 §2: fields of the message, then a block for each recipient. */
function deliveryStatus(dsn: Dsn): string[] {
  const charset = charsetOf(dsn);
  const lines = [`Reporting-MTA: dns; ${dsn.smtpname}`];
  if (dsn.envid !== "") lines.push(oneLine(`Original-Envelope-Id: ${decodeXtext(dsn.envid)}`));
  for (const { dest, orcpt, text, status, remote = "" } of dsn.recipients) {
    lines.push("");
    if (orcpt !== "") lines.push(`Original-Recipient: ${originalRecipient(orcpt, charset)}`);
    lines.push(
      `Final-Recipient: ${finalRecipient(dest, charset)}`,
      `Action: ${dsn.kind}`,
      `Status: ${status.class}.${status.code}`,
    );
    if (remote !== "") lines.push(oneLine(`Remote-MTA: dns; ${ipVersion(remote) === 0 ? remote : `[${remote}]`}`));
    if (/^[245]\d\d[ -]/.test(text)) lines.push(oneLine(`Diagnostic-Code: smtp; ${text}`));
  }
  lines.push("");
  return lines;
}

function endLine(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 || bytes[bytes.length - 1] === 0x0a ? bytes : join([bytes, new Uint8Array([0x0a])]);
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, bytes) => sum + bytes.length, 0));
  let at = 0;
  for (const bytes of parts) {
    all.set(bytes, at);
    at += bytes.length;
  }
  return all;
}
