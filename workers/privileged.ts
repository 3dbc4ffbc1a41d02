/** Entry of the privileged isolate; all it does is in src/delivery. */

import { servePrivileged } from "../src/delivery/serve_privileged.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { PRIVILEGED_DOORS } from "../src/protocol/isolates/privileged.ts";

runIsolate("privileged", PRIVILEGED_DOORS, (isolate) => servePrivileged(isolate));
