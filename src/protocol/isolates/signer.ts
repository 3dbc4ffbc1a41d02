/** What the signer isolate has of the doors. */

import { answering, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { SIGNER } from "../signer.ts";

export const SIGNER_DOORS: OwnDoors<"signer"> = {
  "smtp-signer": answering(SIGNER),
  "queue-signer": answering(SIGNER),
  "signer-control": REPORTING,
};
