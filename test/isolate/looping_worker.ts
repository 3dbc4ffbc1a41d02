/** An smtp isolate that does nothing but loop once it got a session. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("smtp", (isolate) => {
  isolate.ask("smtp-main").onmessage = () => {
    for (;;);
  };
});
