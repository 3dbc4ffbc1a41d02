/** What the replies of a transaction mean for envelopes, and the outcome of a relay that failed. Pure. */

import type { Outcome } from "../../envelope/mod.ts";
import { isReply, type Reason } from "../reason.ts";
import { ClientError, enhancedCode, type RecipientResult, type TransactionResult } from "../../smtp_client/mod.ts";

/**
 * Returns the outcome of one recipient, which the queue settles the envelope by. This is the client's side of a 250: only a 2xx reply to the end of the
 * data (of LMTP to the recipient, RFC 2033 §4.2) makes it "ok", and the queue forgets the envelope; a 5xx is a permanent failure, a 4xx or no reply one
 * that is retried (RFC 5321 §4.2.1). With the enhanced code of the reply when it has one of the right class (RFC 3464 §2.3.4). `relaysDsn`: the
 * server offered DSN and so takes over what the sender asked for. `remote`: its name.
 */
export function outcomeOf(
  result: RecipientResult,
  { relaysDsn, remote }: { readonly relaysDsn: boolean; readonly remote?: string },
): Outcome {
  if (result.outcome === "ok") {
    return relaysDsn ? { result: "ok", text: result.text, dsnRelayed: true } : { result: "ok", text: result.text };
  }
  const severity = result.outcome === "permfail" ? 5 : 4;
  const code = enhancedCode(result.enhanced ?? result.reply?.text ?? "", severity) ?? "0.0";
  const named = remote === undefined || result.reply === null ? {} : { remote };
  return { result: result.outcome, text: result.text, status: { class: severity, code }, ...named };
}

/** Returns a failure for this reason: its code with the class of the result, else "other" (x.0.0). */
export function failureOutcome(result: "tempfail" | "permfail", { text, enhanced, remote }: Reason): Outcome {
  const status = { class: result === "permfail" ? 5 : 4, code: enhanced?.slice(2) ?? "0.0" } as const;
  return { result, text, status, ...(remote === undefined ? {} : { remote: remote.host }) };
}

/**
 * Takes what became of a transaction that began when the host had left already, in a session that has had others: what the host said before it
 * left may have been about those, so that it is not passed on.
 */
export function unheard(result: TransactionResult): TransactionResult {
  const shown = (text: string) => isReply(text) ? "Connection closed unexpectedly" : text;
  const { kind, message } = result.error!;
  const recipients = result.recipients.map((one) => ({ ...one, text: shown(one.text) }));
  return { ...result, error: new ClientError(kind, shown(message)), recipients };
}
