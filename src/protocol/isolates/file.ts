/** What the file isolates have of the doors. */

import { asking } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { FILES } from "../files.ts";

export const FILE_DOORS: OwnDoors<"file"> = {
  "file-privileged": asking(FILES),
};
