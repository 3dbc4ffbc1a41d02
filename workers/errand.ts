/** Entry of the errand isolate; all it does is in src/delivery. */

import { serveErrand } from "../src/delivery/mod.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("errand", (isolate) => serveErrand(isolate));
