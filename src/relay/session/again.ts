/** Which recipients of a transaction are retried at once, not at the next attempt of the queue, and how. Pure. */

import type { Envelope, EnvelopeId } from "../../envelope/mod.ts";
import { type RecipientResult, tooManyRecipients } from "../../smtp_client/mod.ts";
import type { Task } from "../tasks.ts";

/** Tasks that are tried at once. Whoever is in none of them is settled by its own result. */
export interface Again {
  /** By this host, in a further transaction or session. */
  readonly putBack: readonly Task[];
  /** By the next exchanger, where there is one. */
  readonly elsewhere: Task | null;
  /** The host takes no more in this session. */
  readonly full: boolean;
}

/**
 * Takes a task, its envelopes and what became of each in the same order, and how many messages the session has carried, this one among them.
 * Returns the tasks that are retried at once. The retries come to an end: what is put back for a further transaction has had company that was settled, or a limit of the host was learnt that is
 * smaller than what it was offered; and what is put back for another session has had one in which something was sent.
 */
export function triedAgain(
  task: Task,
  envelopes: readonly Envelope[],
  recipients: readonly RecipientResult[],
  sent: number,
): Again {
  const those = (where: RecipientResult["again"]): EnvelopeId[] =>
    envelopes.filter((_, at) => recipients[at]!.again === where).map(({ id }) => id);
  const here = those("here"), away = those("elsewhere"), behind = those("reconnect");
  const putBack: Task[] = here.length === 0 ? [] : [{ ...task, ids: here, afterDeadConnection: false, further: true }];
  // Some hosts take so many messages or recipients in a session, or end it then: another one will do.
  const left = here.length > 0 && recipients.some((one) => one.reply?.code === 421 && isTooMany(one));
  if (sent === 0) {
    return {
      putBack,
      elsewhere: away.length === 0 ? null : { ...task, ids: away, afterDeadConnection: false },
      full: left,
    };
  }
  const taken = behind.length > 0 && (task.further === true || recipients.some(isTooMany));
  const others = taken ? [...behind, ...away] : away;
  if (others.length > 0) putBack.push({ ...task, ids: others, afterDeadConnection: true });
  return { putBack, elsewhere: null, full: taken || left };
}

/** The host has said that there were too many, not only refused. */
function isTooMany({ reply }: RecipientResult): boolean {
  return reply !== null && tooManyRecipients(reply) === "said";
}
