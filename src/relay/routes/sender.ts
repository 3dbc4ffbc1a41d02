/** The sender under which mail is relayed: as `mail-from` of the action has it, and rewritten by SRS where mail was forwarded. Pure. */

import type { RelayAction } from "../../config/mod.ts";
import { type EnvelopeContent, formatMailbox } from "../../envelope/mod.ts";
import { encodeSrs, type SrsKeys } from "../../mac/mod.ts";

/** Returns the MAIL FROM of an action with `mail-from`: `user@dom` replaces all, `@dom` the domain, `user` the local part; `<>` stays as it is. */
export function rewriteSender(
  sender: { readonly local: string; readonly domain: string } | null,
  mailFrom: string | null,
): string {
  if (sender === null) return "";
  if (mailFrom === null || sender.local === "") return `${sender.local}@${sender.domain}`;
  const at = mailFrom.lastIndexOf("@");
  if (at < 0) return `${mailFrom}@${sender.domain}`;
  return at === 0 ? `${sender.local}${mailFrom}` : mailFrom;
}

/**
 * Returns the MAIL FROM of an envelope that is relayed by `action`, "" for the null one. With `srs` the sender of mail that was forwarded is of the
 * domain that it was sent to. `now`: ms since the epoch.
 */
export function relayedSender(
  { sender, rcpt, dest }: Pick<EnvelopeContent, "sender" | "rcpt" | "dest">,
  action: Pick<RelayAction, "mailFrom" | "srs">,
  srs: SrsKeys | null,
  now: number,
): string {
  const text = rewriteSender(sender, action.mailFrom);
  const forwarded = rcpt.local !== dest.local || rcpt.domain.toLowerCase() !== dest.domain.toLowerCase();
  if (!action.srs || srs === null || !forwarded || text === "") return text;
  const at = text.lastIndexOf("@");
  const mailbox = { local: text.slice(0, at), domain: text.slice(at + 1) };
  return formatMailbox(encodeSrs(mailbox, rcpt.domain, srs, now));
}
