/**
 * The reply to a client when a recipient is refused: codes of RFC 5321 §4.3.2, where OpenSMTPD has 424 and 524 of its own, with an enhanced code in
 * each (RFC 2034 §4).
 */

import { formatMailbox, type Mailbox } from "../envelope/mod.ts";
import type { Expansion } from "../protocol/mod.ts";

export type Refusal = Extract<Expansion, { ok: false }>;

function refusal(code: number, text: string): (rcpt: Mailbox) => Refusal {
  return (rcpt) => ({ ok: false, code, text: `${text}: <${formatMailbox(rcpt)}>` });
}

export const refusals = {
  /** RFC 3463 §3.8: X.7.1, delivery not authorized. No rule lets this client send mail to that domain. */
  relayingDenied: refusal(550, "5.7.1 Relaying denied"),
  /** The same code, of a rule that says `reject`. */
  rejected: refusal(550, "5.7.1 Recipient rejected"),
  /** RFC 3463 §3.2: X.1.1, bad destination mailbox. */
  unknownUser: refusal(550, "5.1.1 User unknown"),
  temporary: refusal(451, "4.3.0 Temporary failure"),
  /** RFC 3463 §3.3: X.2.4, mailing list expansion problem. */
  expansionTemporary: refusal(451, "4.2.4 Mailing list expansion problem"),
  /** RFC 3463 §3.5: X.4.6, routing loop detected. */
  expansionLoop: refusal(550, "5.4.6 Aliases lead back to themselves"),
  expansionPermanent: refusal(550, "5.2.4 Mailing list expansion problem"),
} as const;

/**
 * The reply that an `error:` target asks for. Its text may start with an enhanced code of its own; without one, or with one of the wrong
 * class, it gets X.1.0 (RFC 3463 §3.2: something about the address).
 */
export function errorRefusal(code: number, text: string, rcpt: Mailbox): Refusal {
  const digit = String(code)[0]!;
  const enhanced = /^([245])\.\d{1,3}\.\d{1,3} /.exec(text);
  const words = enhanced === null || enhanced[1] === digit ? text : text.slice(enhanced[0].length);
  const prefix = enhanced?.[1] === digit ? "" : `${digit}.1.0 `;
  return { ok: false, code, text: `${prefix}${words}: <${formatMailbox(rcpt)}>` };
}
