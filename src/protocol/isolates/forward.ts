/** What the forward isolates have of the doors. */

import { asking } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { FILES } from "../files.ts";

export const FORWARD_DOORS: OwnDoors<"forward"> = {
  "forward-main": asking(FILES),
};
