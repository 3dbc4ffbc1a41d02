/** What the relay isolate has of the doors. */

import { CONTROL_RELAY } from "../control.ts";
import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { SESSION_FILTER } from "../filters.ts";
import { RELAY_LOOKUP } from "../lookup.ts";
import { AGENT_QUEUE, SCHEDULER_RELAY } from "../queue_work.ts";

export const RELAY_DOORS: OwnDoors<"relay"> = {
  "scheduler-relay": answering(SCHEDULER_RELAY),
  "relay-queue": asking(AGENT_QUEUE),
  "relay-lookup": asking(RELAY_LOOKUP),
  "relay-filter": asking(SESSION_FILTER),
  "control-relay": answering(CONTROL_RELAY),
  "relay-control": REPORTING,
};
