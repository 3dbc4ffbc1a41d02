/** What the mailbox isolates have of the doors. */

import { asking } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { FILES } from "../files.ts";

export const MAILBOX_DOORS: OwnDoors<"mailbox"> = {
  "mailbox-delivery": asking(FILES),
};
