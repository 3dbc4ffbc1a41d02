/** Entry of the scheduler isolate; all it does is in src/schedule. */

import { runIsolate } from "../src/isolate/mod.ts";
import { SCHEDULER_DOORS } from "../src/protocol/isolates/scheduler.ts";
import { serveScheduler } from "../src/schedule/serve.ts";

runIsolate("scheduler", SCHEDULER_DOORS, (isolate) => serveScheduler(isolate));
