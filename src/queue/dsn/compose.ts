/**
 * The text of a DSN (delivery status notification) to the sender: a multipart/report of RFC 3462 with a delivery status of RFC 3464, of
 * RFC 6533 where the original was given with SMTPUTF8. Pure; lines end with LF, as all stored bodies do.
 */

import { formatDate } from "../../date.ts";
import { ipVersion } from "../../net/mod.ts";
import {
  type Charset,
  type DsnContent,
  type DsnParameters,
  formatMailbox,
  type Handling,
  isAscii,
  type Mailbox,
} from "../../envelope/mod.ts";
import { decodeXtext, finalRecipient, oneLine, originalRecipient } from "./delivery_status.ts";

/** A recipient that a DSN is about. */
export interface DsnRecipient {
  readonly dest: Mailbox;
  /** ORCPT as the client sent it, "" for none. */
  readonly orcpt: string;
  readonly text: string;
  readonly status: DsnContent["status"];
  /** Name of the host that said so, or that it failed at; "" or absent when there is none. */
  readonly remote?: string;
}

/** What a DSN says, of one kind and to one sender. */
export interface Dsn {
  readonly kind: DsnContent["kind"];
  /** Failed because the time of the message is over. */
  readonly expired?: boolean;
  /** Name of this server to the outside. */
  readonly smtpname: string;
  /** The sender of the original, who gets this. */
  readonly to: Mailbox;
  readonly recipients: readonly DsnRecipient[];
  readonly envid: DsnParameters["envid"];
  readonly delaySeconds: number;
  readonly ttlSeconds: number;
  /** ms since the epoch. */
  readonly now: number;
  /** Random, so that no message can contain it by intention. */
  readonly boundary: string;
  readonly messageId: string;
  /** The original, or its header section only. */
  readonly original: Uint8Array;
  readonly complete: boolean;
  /** Of the original. */
  readonly handling?: Handling;
}

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

/** "4 hours": the largest unit that fits, in whole numbers. */
function formatAge(seconds: number): string {
  const [count, unit] = seconds < 60
    ? [seconds, "second"]
    : seconds < 3600
    ? [Math.floor(seconds / 60), "minute"]
    : seconds < 86_400
    ? [Math.floor(seconds / 3600), "hour"]
    : [Math.floor(seconds / 86_400), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
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

function charsetOf({ handling }: Dsn): Charset {
  return handling?.smtpUtf8 ? "utf-8" : "us-ascii";
}

function explanation(dsn: Dsn): string[] {
  const charset = charsetOf(dsn);
  return [
    "Hi!",
    "",
    `This is the mail system at ${dsn.smtpname}. Nobody reads replies to this message.`,
    "",
    ...REASON[dsn.kind](dsn),
    "",
    ...dsn.recipients.map(({ dest, text }) => oneLine(`${formatMailbox(dest)}: ${withoutCode(text)}`, charset)),
    "",
    ...(dsn.kind === "delayed"
      ? [
        "This is only a warning. Delivery is tried again and again until the",
        `message is ${formatAge(dsn.ttlSeconds)} old: there is no need to send it again.`,
        "",
      ]
      : []),
    `Below is a copy of the original ${dsn.complete ? "message" : "message's headers"}:`,
  ];
}

const REASON: Readonly<Record<Dsn["kind"], (dsn: Dsn) => string[]>> = {
  failed: ({ expired = false, ttlSeconds }) =>
    expired
      ? [
        `Your message could not be delivered within ${formatAge(ttlSeconds)}. The time for it is`,
        "over (the envelope is expired), and it is not tried again. This is what was",
        "said last about these recipients:",
      ]
      : ["Your message could not be delivered to these recipients:"],
  delayed: (dsn) => [
    `Your message has been waiting for more than ${formatAge(dsn.delaySeconds)} to be`,
    "delivered to these recipients:",
  ],
  delivered: () => ["Your message was delivered to these recipients:"],
  relayed: () => [
    "Your message was handed on for these recipients, to a mail system that",
    "does not report deliveries. You may hear no more of it:",
  ],
};

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

/** Drops the code 1xx or 6xx of a text of our own: no server said it. */
function withoutCode(text: string): string {
  return text.replace(/^[16]\d\d /, "");
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
