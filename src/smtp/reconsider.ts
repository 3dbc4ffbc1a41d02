/**
 * The recipients of a message that was checked, decided about anew: rules with `mail-auth` know only now whether they match. What lookup said at RCPT
 * was that some rule may take each of them.
 */

import type { MailAuth, MessageId } from "../envelope/mod.ts";
import type { Expansion, SmtpSettings } from "../protocol/mod.ts";
import type { LookupClient } from "./lookup_client.ts";
import type { MessageDeps, ReconsideredRefusal } from "./message/incoming.ts";
import { recipients } from "./session/envelopes.ts";
import type { Accepted, Session } from "./session/state.ts";

/** Questions of one message that lookup is asked at the same time. */
const MAX_PENDING_QUESTIONS = 32;

const NOT_NOW: Extract<Expansion, { ok: false }> = { ok: false, code: 451, text: "4.3.0 Temporary Error" };

/**
 * Returns the session with what lookup says of each recipient of the message now; or the refusal of the whole message when one of them is refused: after its
 * data a message has one reply, and the client still has it and tells its sender. A temporary refusal outranks the others, so that nothing is given up
 * that may be taken later. Never rejects.
 */
export async function reconsider(
  lookup: Pick<LookupClient, "expand">,
  { session, message, mailAuth, explain = false }: {
    readonly session: Session;
    readonly message: MessageId;
    readonly mailAuth: MailAuth;
    /** The answers are to have the trees of the expansions. */
    readonly explain?: boolean;
  },
): Promise<Session | ReconsideredRefusal> {
  const transaction = session.transaction!;
  const tls = session.ciphers !== null, origin = session.origin!, { sender } = transaction;
  const ask = ({ rcpt }: Accepted) =>
    new Promise<Expansion>((resolve) => {
      const question = { message, origin, tls, sender, rcpt, mailAuth, ...(explain ? { explain } : {}) };
      lookup.expand(question, resolve, () => resolve(NOT_NOW));
    });
  const before = recipients(transaction);
  let refusal: ReconsideredRefusal | null = null;
  let accepted: Accepted | null = null, targets = 0;
  for (let at = 0; at < before.length; at += MAX_PENDING_QUESTIONS) {
    const group = before.slice(at, at + MAX_PENDING_QUESTIONS);
    const answers = await Promise.all(group.map(ask));
    for (const [index, expansion] of answers.entries()) {
      if (!expansion.ok || expansion.targets.length === 0) {
        const { code, text } = expansion.ok ? NOT_NOW : expansion;
        if (refusal === null || code < 500 && refusal.code >= 500) refusal = { code, text };
        continue;
      }
      accepted = { ...group[index]!, expansion, before: accepted };
      targets += expansion.targets.length;
    }
  }
  return refusal ?? { ...session, transaction: { ...transaction, accepted, targets } };
}

/** Returns what decides anew about recipients where rules look at what messages were found to be; nothing where none does. */
export function reconsidering(
  { rulesSeeMailAuth, shared }: Pick<SmtpSettings, "rulesSeeMailAuth" | "shared">,
  lookup: Pick<LookupClient, "expand">,
): Pick<MessageDeps, "reconsider"> {
  if (rulesSeeMailAuth !== true) return {};
  const explain = shared.recording === true;
  return { reconsider: (session, message, mailAuth) => reconsider(lookup, { session, message, mailAuth, explain }) };
}
