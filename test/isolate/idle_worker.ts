/** An isolate that only lives. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";

runIsolate("smtp", SMTP_DOORS, () => {});
