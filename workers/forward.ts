/** Entry of the forward isolates; all they do is in src/delivery. */

import { actAsRootConfined, actAsSelf, serveFiles } from "../src/delivery/serve_files.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { FORWARD_DOORS } from "../src/protocol/isolates/forward.ts";

runIsolate(
  "forward",
  FORWARD_DOORS,
  (isolate) => serveFiles(isolate, isolate.settings.shared.root ? actAsRootConfined() : actAsSelf),
);
