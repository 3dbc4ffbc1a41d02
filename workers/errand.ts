/** Entry of the errand isolate; all it does is in src/delivery. */

import { serveErrand } from "../src/delivery/serve_errand.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("errand", (isolate) => serveErrand(isolate));
