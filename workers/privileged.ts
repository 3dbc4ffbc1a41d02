/** Entry of the privileged isolate; all it does is in src/delivery. */

import { servePrivileged } from "../src/delivery/serve_privileged.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("privileged", (isolate) => servePrivileged(isolate));
