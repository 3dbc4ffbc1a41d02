/** Entry of the filter isolate; all it does is in src/programs. */

import { serveFilter } from "../src/programs/serve.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { FILTER_DOORS } from "../src/protocol/isolates/filter.ts";

runIsolate("filter", FILTER_DOORS, (isolate) => serveFilter(isolate));
