/** What the history isolate has of the doors. */

import { answering, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { CONTROL_HISTORY } from "../history.ts";

export const HISTORY_DOORS: OwnDoors<"history"> = {
  "control-history": answering(CONTROL_HISTORY),
  "history-control": REPORTING,
};
