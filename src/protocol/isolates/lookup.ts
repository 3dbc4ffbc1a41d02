/** What the lookup isolate has of the doors. */

import { CONTROL_LOOKUP } from "../control.ts";
import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { LOOKUP_LOGIN } from "../login.ts";
import { DELIVERY_LOOKUP, PRIVILEGED_LOOKUP, QUEUE_LOOKUP, RELAY_LOOKUP, SMTP_LOOKUP } from "../lookup.ts";
import { LOOKUP_MAIN } from "../lookup_main.ts";
import { LOOKUP_FILTER } from "../table_programs.ts";

export const LOOKUP_DOORS: OwnDoors<"lookup"> = {
  "smtp-lookup": answering(SMTP_LOOKUP),
  "relay-lookup": answering(RELAY_LOOKUP),
  "delivery-lookup": answering(DELIVERY_LOOKUP),
  "privileged-lookup": answering(PRIVILEGED_LOOKUP),
  "queue-lookup": answering(QUEUE_LOOKUP),
  "lookup-filter": asking(LOOKUP_FILTER),
  "lookup-login": asking(LOOKUP_LOGIN),
  "control-lookup": answering(CONTROL_LOOKUP),
  "lookup-main": asking(LOOKUP_MAIN),
  "lookup-control": REPORTING,
};
