/** An smtp isolate that does nothing but loop once it got a session. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SMTP_DOORS } from "../../src/protocol/isolates/smtp.ts";

/** Nobody can end it: it takes a core until its process ends, were it not for this. Whoever waits for its replacement waits a few seconds. */
const LOOP_MS = 30_000;

runIsolate("smtp", SMTP_DOORS, (isolate) => {
  isolate.ask("smtp-main").onmessage = () => {
    for (const end = Date.now() + LOOP_MS; Date.now() < end;);
  };
});
