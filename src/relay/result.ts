/** What the replies of a transaction mean for envelopes, and how a failed relay is told. Pure. */

import type { Outcome } from "../envelope/mod.ts";
import { enhancedCode, type RecipientResult } from "../smtp/client/mod.ts";

/** The outcome of one recipient. `relaysDsn`: the server offered DSN and so takes over what the sender asked for. */
export function outcomeOf(result: RecipientResult, relaysDsn: boolean): Outcome {
  if (result.verdict === "ok") {
    return relaysDsn ? { result: "ok", text: result.text, dsnRelayed: true } : { result: "ok", text: result.text };
  }
  return failureOutcome(result.verdict, result.text, result.reply?.text ?? result.enhanced ?? "");
}

/** A failure with the enhanced code of the reply when it has one of the right class (RFC 3464 §2.3.4), else "other" (x.0.0). */
export function failureOutcome(result: "tempfail" | "permfail", text: string, replyText = ""): Outcome {
  const severity = result === "permfail" ? 5 : 4;
  return { result, text, status: { class: severity, code: enhancedCode(replyText, severity) ?? "0.0" } };
}
