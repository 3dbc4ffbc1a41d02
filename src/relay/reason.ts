/**
 * Why mail could not be sent: the words and codes that queue, log and DSNs pass on. What is kept with a route is the reason of other messages
 * too, so that it is only ever about the connection: a reply to MAIL, RCPT or the data may name correspondents of another sender. Pure.
 */

import type { AttemptDetail } from "../events/mod.ts";
import { ClientError, codeOfFailure, type Reply } from "../smtp_client/mod.ts";

/** Host that a failure is about. */
export interface Remote {
  /** Name, or the address for a literal. */
  readonly host: string;
  readonly address: string;
}

export interface Reason {
  /** What the host said, code in front, or what happened in words of our own. */
  readonly text: string;
  /** Code of RFC 3463, as in `4.4.1` or `5.7.1`: the class of the outcome takes the place of its own. Absent: none is known. */
  readonly enhanced?: string;
  readonly remote?: Remote;
  /** The session that it is of, for the history. */
  readonly attempt?: Omit<AttemptDetail, "tries" | "status">;
}

/** Longest text that is kept with a route, in UTF-16 units. */
const MAX_TEXT_CHARS = 512;

/** Codes for replies without one, RFC 4954 §6. */
const REPLY_CODES: Readonly<Record<number, string>> = {
  454: "4.7.0",
  530: "5.7.0",
  534: "5.7.9",
  535: "5.7.8",
  538: "5.7.11",
};

/**
 * Returns the reason for mail that a session with this host could not take, because `error` came before any was sent. `step`: what a reply answers to, such as "at EHLO"; without it the reply
 * stands alone.
 */
export function reasonOfError(error: unknown, remote: Remote, port: number, step?: string): Reason {
  const where = `${nameOf(remote)} port ${port}`;
  if (error instanceof ClientError && error.reply !== null) {
    const place = step === undefined ? "" : ` (${where}, ${step})`;
    const reason = reasonOfReply(error.reply, cut(error.message, MAX_TEXT_CHARS - place.length) + place, remote);
    // A refusal of TLS is about security, whatever its code; 421 may be about anything.
    const ofTls = error.kind === "tls" && error.reply.code !== 421;
    return ofTls && reason.enhanced === undefined ? { ...reason, enhanced: "4.7.0" } : reason;
  }
  // A mistake of ours goes to the log, not to strangers.
  const text = cut(`${where}: ${error instanceof ClientError ? error.message : "Internal error"}`);
  return { text, enhanced: error instanceof ClientError ? codeOfFailure(error) : "4.3.0", remote };
}

/** How many messages or sessions in a row went wrong at a host, and when it is tried next, in ms since the epoch. */
interface Failures {
  readonly count: number;
  readonly next: number;
}

/** Returns the reason for mail that a host is not given since it refused the last messages. What it said is for their senders. */
export function reasonOfRefusals(remote: Remote, { count, next }: Failures): Reason {
  return { text: `${nameOf(remote)} refused the last ${count} messages; ${nextTry(next)}`, enhanced: "4.0.0", remote };
}

/** Returns the reason for mail that a host is not given since it ended the last sessions over their first message. */
export function reasonOfBreaks(remote: Remote, { count, next }: Failures): Reason {
  const text = `${nameOf(remote)} ended the last ${count} sessions during their first message; ${nextTry(next)}`;
  return { text, enhanced: "4.4.2", remote };
}

/** Returns the reason for mail that a host is not given since it blocks this server. What it said may be about another sender's message. */
export function reasonOfBlock(remote: Remote, next: number): Reason {
  const text = `${nameOf(remote)} blocks mail of this server for now; ${nextTry(next)}`;
  return { text, enhanced: "4.7.1", remote };
}

/** RFC 3339, in whole seconds: readers may be in any time zone. */
function nextTry(at: number): string {
  return `next try at ${new Date(at).toISOString().slice(0, 19)}Z`;
}

function nameOf({ host, address }: Remote): string {
  return host === address ? address : `${host} (${address})`;
}

/** Returns the reason for mail that a host refused before any was sent. `text`: the whole reply as it is shown. */
function reasonOfReply(reply: Reply, text: string, remote: Remote): Reason {
  const own = /^[245](\.\d{1,3}\.\d{1,3})(?: |$)/.exec(reply.text)?.[1];
  const enhanced = own === undefined ? REPLY_CODES[reply.code] : `${reply.code < 500 ? 4 : 5}${own}`;
  return { text, ...(enhanced === undefined ? {} : { enhanced }), remote };
}

/** There is no local address to send from. */
export const NO_SOURCE: Reason = { text: "could not retrieve source address", enhanced: "4.3.5" };

/** All exchangers were tried: the reason of a task that has none of its own. */
export const NOTHING_LEFT: Reason = { text: "No exchanger is left to try", enhanced: "4.4.4" };

/** Returns the one of two reasons that says more: a host's own words, else the later one; NOTHING_LEFT says less than any. */
export function better(earlier: Reason | null | undefined, later: Reason): Reason {
  if (earlier != null && later === NOTHING_LEFT) return earlier;
  return earlier != null && isReply(earlier.text) && !isReply(later.text) ? earlier : later;
}

/** True for the words of a host. */
export function isReply(text: string): boolean {
  return /^[245]\d\d(?: |$)/.test(text);
}

function cut(text: string, length = MAX_TEXT_CHARS): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 3))}...`;
}
