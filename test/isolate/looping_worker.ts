/** An smtp isolate that does nothing but loop once it got a session. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";

runIsolate("smtp", SMTP_DOORS, (isolate) => {
  isolate.ask("smtp-main").onmessage = () => {
    for (;;);
  };
});
