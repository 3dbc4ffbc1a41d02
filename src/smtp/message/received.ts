/** Writes the Received header field, the trace that this server puts in front of a message, RFC 5321 §4.4, and the dates in it. */

import { formatDate } from "../../date.ts";
import { PRODUCT } from "../../config/paths.ts";
import { formatMailbox, type Mailbox, type MessageId, type Origin } from "../../envelope/mod.ts";

export interface Trace {
  readonly origin: Origin;
  readonly esmtp: boolean;
  /** MAIL was given with SMTPUTF8. */
  readonly smtpUtf8: boolean;
  /** `VERSION:CIPHER:BITS` under TLS, else null. */
  readonly ciphers: string | null;
  /** The client showed a certificate that was verified. */
  readonly verified: boolean;
  readonly maskSource: boolean;
  /** Under TLS: name the user who has logged in. */
  readonly receivedAuth: boolean;
  readonly message: MessageId;
  /** The recipient if there is exactly one, else null: recipients are not revealed to each other. */
  readonly rcpt: Mailbox | null;
  /** As `dateText` makes it. */
  readonly date: string;
}

/** The whole field, lines ending with LF. */
export function receivedField(trace: Trace): string {
  const { origin, ciphers, rcpt } = trace;
  const from = trace.maskSource ? "" : `from ${origin.helo} (${origin.hostname} ${bracketed(origin.address)})`;
  // RFC 3848, RFC 6531 §4.3: UTF8SMTP, UTF8SMTPS, UTF8SMTPA, UTF8SMTPSA have no E of their own.
  const kind = trace.smtpUtf8 ? "UTF8SMTP" : trace.esmtp ? "ESMTP" : "SMTP";
  const protocol = `${kind}${ciphers === null ? "" : "S"}${origin.authenticated ? "A" : ""}`;
  const tls = ciphers === null ? "" : ` (${ciphers}:${trace.verified ? "YES" : "NO"})`;
  const auth = trace.receivedAuth && ciphers !== null ? authClause(origin.username) : "";
  const recipient = rcpt === null ? "" : `\n\tfor <${formatMailbox(rcpt)}>`;
  return `Received: ${from}\n\tby ${origin.smtpname} (${PRODUCT}) with ${protocol} id ${trace.message}${tls}${auth}${recipient};\n` +
    `\t${trace.date}\n`;
}

function authClause(user: string): string {
  return user === "" ? " auth=no" : ` auth=yes user=${user.replace(/[^!-~]/g, "?")}`;
}

/** An address as it stands in replies and in Received: `[192.0.2.1]`, `[2001:db8::1]`, `[local]`. */
export function bracketed(address: string): string {
  return address.startsWith("[") ? address : `[${address}]`;
}

/**
 * A function that writes dates as `Mon, 2 Jan 2006 15:04:05 -0700 (MST)`, RFC 5322 §3.3, in the zone with this IANA name. Remembers the
 * last second: many messages share one. An unknown zone counts as UTC.
 */
export function dateWriter(timeZone: string): (at: number) => string {
  const format = formatter(timeZone);
  let second = NaN;
  let text = "";
  return (at) => {
    const now = Math.floor(at / 1000);
    if (now !== second) {
      second = now;
      text = dateText(format, now * 1000);
    }
    return text;
  };
}

function formatter(timeZone: string): Intl.DateTimeFormat {
  const options: Intl.DateTimeFormatOptions = {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  };
  try {
    return new Intl.DateTimeFormat("en-US", { ...options, timeZone });
  } catch {
    return new Intl.DateTimeFormat("en-US", { ...options, timeZone: "UTC" });
  }
}

function dateText(format: Intl.DateTimeFormat, at: number): string {
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = value;
  const local = Date.parse(`${part.day} ${part.month} ${part.year} ${part.hour}:${part.minute}:${part.second} GMT`);
  const minutes = Math.round((local - at) / 60_000);
  const zone = (part.timeZoneName ?? "UTC").replace(/[^A-Za-z0-9+:-]/g, "");
  return `${formatDate(new Date(at), minutes)} (${zone})`;
}
