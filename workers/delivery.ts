/** Entry of the delivery isolate; all it does is in src/delivery. */

import { actAsRootConfined, deliveryNeeds, serveDelivery } from "../src/delivery/mod.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate(
  "delivery",
  (isolate) => serveDelivery(isolate, deliveryNeeds(isolate.settings).ffi ? { actAs: actAsRootConfined() } : {}),
);
