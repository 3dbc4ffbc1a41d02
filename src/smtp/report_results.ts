/** Which checked messages are counted for reports of DMARC. */

import { formatMailbox, type Mailbox } from "../envelope/mod.ts";
import { dmarcResult } from "../mail_auth/dmarc_report/mod.ts";
import type { CheckedSession } from "./mail_check.ts";
import type { QueueClient } from "./queue_client.ts";
import { recipients } from "./session/envelopes.ts";

/**
 * Returns what has checked messages counted by the queue, where somebody asks for a report. What comes for `from`, the address of our own reports, alone
 * may be a report about reports, or an answer to one, and is not counted: two hosts would report on each other's reports for ever.
 */
export function countingFor(from: Mailbox, queue: Pick<QueueClient, "count">): (checked: CheckedSession) => void {
  return ({ verdict, client, disposition, session }) => {
    const isForUs = recipients(session.transaction!).every(({ rcpt }) => sameMailbox(rcpt, from));
    const result = isForUs ? null : dmarcResult(verdict, { client, fate: disposition });
    if (result !== null) queue.count(result);
  };
}

/** Local parts are compared without case, as those of the mailbox may be written. */
function sameMailbox(one: Mailbox, other: Mailbox): boolean {
  return formatMailbox(one).toLowerCase() === formatMailbox(other).toLowerCase();
}
