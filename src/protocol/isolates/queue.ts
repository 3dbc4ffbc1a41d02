/** What the queue isolate has of the doors. */

import { CONTROL_QUEUE } from "../control.ts";
import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { QUEUE_LOOKUP } from "../lookup.ts";
import { AGENT_QUEUE, QUEUE_SCHEDULER } from "../queue_work.ts";
import { SIGNER } from "../signer.ts";
import { SMTP_QUEUE } from "../smtp_queue.ts";

export const QUEUE_DOORS: OwnDoors<"queue"> = {
  "smtp-queue": answering(SMTP_QUEUE),
  "queue-scheduler": asking(QUEUE_SCHEDULER),
  "relay-queue": answering(AGENT_QUEUE),
  "delivery-queue": answering(AGENT_QUEUE),
  "privileged-queue": answering(AGENT_QUEUE),
  "queue-lookup": asking(QUEUE_LOOKUP),
  "queue-signer": asking(SIGNER),
  "control-queue": answering(CONTROL_QUEUE),
  "queue-control": REPORTING,
};
