/** Entry of the queue isolate; all it does is in src/queue. */

import { runIsolate } from "../src/isolate/mod.ts";
import { QUEUE_DOORS } from "../src/protocol/isolates/queue.ts";
import { serveQueue } from "../src/queue/serve.ts";

runIsolate("queue", QUEUE_DOORS, (isolate) => serveQueue(isolate));
