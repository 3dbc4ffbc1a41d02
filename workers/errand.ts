/** Entry of the errand isolate; all it does is in src/delivery. */

import { actAsRootConfined, errandNeeds, serveErrand } from "../src/delivery/mod.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate(
  "errand",
  (isolate) => serveErrand(isolate, errandNeeds(isolate.settings).ffi ? { actAs: actAsRootConfined() } : {}),
);
