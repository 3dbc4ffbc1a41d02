/** What main asks of the rules for the check of this host: would a client's mail be taken? */

import type { TriedRcpt } from "../protocol/mod.ts";
import type { Lookups } from "./lookup_engine.ts";
import type { RcptQuestion } from "./main_client.ts";

/** Returns what the rules say of a recipient: as at RCPT, for a message that is never there. Never rejects. */
export async function tryRcpt(
  lookups: Pick<Lookups, "expand">,
  { origin, sender, rcpt }: RcptQuestion,
): Promise<TriedRcpt> {
  try {
    const result = await lookups.expand({ origin, tls: true, sender, rcpt, mailAuth: "unknown" });
    return result.ok ? "taken" : result.code >= 500 ? "refused" : "unknown";
  } catch {
    return "unknown";
  }
}
