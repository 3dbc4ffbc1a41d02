/** What the privileged isolate has of the doors. */

import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { FILES } from "../files.ts";
import { PRIVILEGED_LOOKUP } from "../lookup.ts";
import { PRIVILEGED_MAIN } from "../main.ts";
import { AGENT_QUEUE, DELIVERY_PRIVILEGED } from "../queue_work.ts";

export const PRIVILEGED_DOORS: OwnDoors<"privileged"> = {
  "delivery-privileged": answering(DELIVERY_PRIVILEGED),
  "privileged-queue": asking(AGENT_QUEUE),
  "file-privileged": answering(FILES),
  "privileged-lookup": asking(PRIVILEGED_LOOKUP),
  "privileged-main": asking(PRIVILEGED_MAIN),
  "privileged-control": REPORTING,
};
