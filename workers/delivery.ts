/** Entry of the delivery isolate; all it does is in src/delivery. */

import { serveDelivery } from "../src/delivery/serve.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("delivery", (isolate) => serveDelivery(isolate));
