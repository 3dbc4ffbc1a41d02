/** Entry of the queue isolate; all it does is in src/queue. */

import { runIsolate } from "../src/isolate/mod.ts";
import { serveQueue } from "../src/queue/serve.ts";

runIsolate("queue", (isolate) => serveQueue(isolate));
