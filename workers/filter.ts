/** Entry of the filter isolate; all it does is in src/programs. */

import { serveFilter } from "../src/programs/serve.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("filter", (isolate) => serveFilter(isolate));
