/** Which back-off an envelope has after its last failure: the class of what the host said. Pure; the times are in src/schedule/backoff.ts. */

import { RETRY_CLASSES, type RetryClass } from "../protocol/queue_work.ts";
import { classifyText } from "../reply_class/mod.ts";

/**
 * Takes the text of an outcome, as `errorLine` keeps it, and returns its class where that decides the back-off. It is read anew from the text after a
 * restart, so that a rule that has become better holds for mail that is queued already.
 */
export function retryClassOf(errorLine: string): RetryClass | undefined {
  if (errorLine === "") return undefined;
  const found = classifyText(errorLine);
  return RETRY_CLASSES.find((one) => one === found);
}
