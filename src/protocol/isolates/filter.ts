/** What the filter isolate has of the doors. */

import { answering, asking, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { SESSION_FILTER } from "../filters.ts";
import { FILTER_MAIN } from "../main.ts";
import { LOOKUP_FILTER } from "../table_programs.ts";

export const FILTER_DOORS: OwnDoors<"filter"> = {
  "lookup-filter": answering(LOOKUP_FILTER),
  "smtp-filter": answering(SESSION_FILTER),
  "relay-filter": answering(SESSION_FILTER),
  "filter-main": asking(FILTER_MAIN),
  "filter-control": REPORTING,
};
