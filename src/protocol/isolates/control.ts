/** What the control isolate has of the doors. */

import { CONTROL_LOOKUP, CONTROL_QUEUE, CONTROL_RELAY, CONTROL_SCHEDULER } from "../control.ts";
import { answering, asking, type Door } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { EVENT_DOORS, type EventDoors } from "../events.ts";
import { CONTROL_HISTORY } from "../history.ts";
import { CONTROL_MAIN } from "../main.ts";

/** Of every role that reports. */
const REPORTS = Object.fromEntries(
  Object.entries(EVENT_DOORS).map(([name, door]) => [name, answering(door as unknown as Door<never, never>)]),
) as unknown as Pick<OwnDoors<"control">, keyof EventDoors>;

export const CONTROL_DOORS: OwnDoors<"control"> = {
  "control-queue": asking(CONTROL_QUEUE),
  "control-scheduler": asking(CONTROL_SCHEDULER),
  "control-relay": asking(CONTROL_RELAY),
  "control-lookup": asking(CONTROL_LOOKUP),
  "control-history": asking(CONTROL_HISTORY),
  "control-main": asking(CONTROL_MAIN),
  ...REPORTS,
};
