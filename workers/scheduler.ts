/** Entry of the scheduler isolate; all it does is in src/schedule. */

import { runIsolate } from "../src/isolate/mod.ts";
import { serveScheduler } from "../src/schedule/serve.ts";

runIsolate("scheduler", (isolate) => serveScheduler(isolate));
