/** What a server offers: the keywords of its EHLO or LHLO reply, RFC 5321 §4.1.1.1. Pure. */

import type { Reply } from "./reply.ts";

export interface Capabilities {
  readonly startTls: boolean;
  readonly pipelining: boolean;
  readonly dsn: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  /** RFC 8689. */
  readonly requireTls: boolean;
  /** Mechanisms of AUTH, upper-case; null when AUTH is not offered. */
  readonly auth: readonly string[] | null;
  /** RFC 1870 §4: null when SIZE is not offered, 0 when it is without a limit; octets. */
  readonly size: number | null;
  /** RFC 9422: transactions in one session and recipients in one transaction; null for no word of it. */
  readonly mailMax: number | null;
  readonly rcptMax: number | null;
}

/** Of a server that supports HELO only, or that has not been asked yet. */
export const NO_CAPABILITIES: Capabilities = {
  startTls: false,
  pipelining: false,
  dsn: false,
  eightBitMime: false,
  smtpUtf8: false,
  requireTls: false,
  auth: null,
  size: null,
  mailMax: null,
  rcptMax: null,
};

/** Reads the reply to EHLO; its first line is the server's name. Keywords are case-insensitive (RFC 5321 §2.4), unknown ones ignored. */
export function parseCapabilities(reply: Reply): Capabilities {
  const found: { -readonly [K in keyof Capabilities]: Capabilities[K] } = { ...NO_CAPABILITIES };
  for (const line of reply.lines.slice(1)) {
    // `AUTH=LOGIN` is how servers of the last century say it; RFC 4954 writes a space.
    const words = line.trim().toUpperCase().replace(/^AUTH=/, "AUTH ").split(/ +/);
    switch (words[0]) {
      case "STARTTLS":
        found.startTls = true;
        break;
      case "PIPELINING":
        found.pipelining = true;
        break;
      case "DSN":
        found.dsn = true;
        break;
      case "8BITMIME":
        found.eightBitMime = true;
        break;
      case "SMTPUTF8":
        found.smtpUtf8 = true;
        break;
      case "REQUIRETLS":
        found.requireTls = true;
        break;
      case "LIMITS":
        found.mailMax = limitOf("MAILMAX", words);
        found.rcptMax = limitOf("RCPTMAX", words);
        break;
      case "AUTH":
        found.auth = [...(found.auth ?? []), ...words.slice(1)];
        break;
      case "SIZE":
        found.size = words[1] !== undefined && /^\d{1,15}$/.test(words[1]) ? Number(words[1]) : 0;
        break;
    }
  }
  return found;
}

/** RFC 9422 §4: a limit that is no number of up to six digits, or none, counts as none. */
function limitOf(name: string, words: readonly string[]): number | null {
  const value = words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";
  return /^\d{1,6}$/.test(value) && Number(value) > 0 ? Number(value) : null;
}
