/** What the acme isolate has of the doors. */

import { ACME_MAIN } from "../acme.ts";
import { asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";

export const ACME_DOORS: OwnDoors<"acme"> = {
  "acme-main": asking(ACME_MAIN),
  "acme-control": REPORTING,
};
