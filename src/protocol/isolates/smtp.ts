/** What the smtp isolate has of the doors. */

import { asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { SESSION_FILTER } from "../filters.ts";
import { SMTP_LOOKUP } from "../lookup.ts";
import { SMTP_MAIN } from "../main.ts";
import { SIGNER } from "../signer.ts";
import { SMTP_QUEUE } from "../smtp_queue.ts";

export const SMTP_DOORS: OwnDoors<"smtp"> = {
  "smtp-lookup": asking(SMTP_LOOKUP),
  "smtp-queue": asking(SMTP_QUEUE),
  "smtp-filter": asking(SESSION_FILTER),
  "smtp-signer": asking(SIGNER),
  "smtp-main": asking(SMTP_MAIN),
  "smtp-control": REPORTING,
};
