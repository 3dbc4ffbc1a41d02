/** Entry of the delivery isolate; all it does is in src/delivery. */

import { serveDelivery } from "../src/delivery/serve.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { DELIVERY_DOORS } from "../src/protocol/isolates/delivery.ts";

runIsolate("delivery", DELIVERY_DOORS, (isolate) => serveDelivery(isolate));
