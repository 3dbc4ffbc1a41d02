/** What the login isolate has of the doors. */

import { answering, REPORTING } from "../door.ts";
import type { OwnDoors } from "../doors.ts";
import { LOOKUP_LOGIN } from "../login.ts";

export const LOGIN_DOORS: OwnDoors<"login"> = {
  "lookup-login": answering(LOOKUP_LOGIN),
  "login-control": REPORTING,
};
