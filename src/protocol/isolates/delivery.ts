/** What the delivery isolate has of the doors. */

import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { FILES } from "../files.ts";
import { DELIVERY_LOOKUP } from "../lookup.ts";
import { DELIVERY_MAIN } from "../main.ts";
import { AGENT_QUEUE, DELIVERY_PRIVILEGED, SCHEDULER_DELIVERY } from "../queue_work.ts";

export const DELIVERY_DOORS: OwnDoors<"delivery"> = {
  "scheduler-delivery": answering(SCHEDULER_DELIVERY),
  "delivery-queue": asking(AGENT_QUEUE),
  "delivery-privileged": asking(DELIVERY_PRIVILEGED),
  "mailbox-delivery": answering(FILES),
  "delivery-lookup": asking(DELIVERY_LOOKUP),
  "delivery-main": asking(DELIVERY_MAIN),
  "delivery-control": REPORTING,
};
