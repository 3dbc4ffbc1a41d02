/** What the scheduler isolate has of the doors. */

import { CONTROL_SCHEDULER } from "../control.ts";
import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { QUEUE_SCHEDULER, SCHEDULER_DELIVERY, SCHEDULER_RELAY } from "../queue_work.ts";

export const SCHEDULER_DOORS: OwnDoors<"scheduler"> = {
  "queue-scheduler": answering(QUEUE_SCHEDULER),
  "scheduler-relay": asking(SCHEDULER_RELAY),
  "scheduler-delivery": asking(SCHEDULER_DELIVERY),
  "control-scheduler": answering(CONTROL_SCHEDULER),
  "scheduler-control": REPORTING,
};
