/** Entry of the forward isolates; all they do is in src/delivery. */

import { actAsRootConfined, actAsSelf, serveFiles } from "../src/delivery/serve_files.ts";
import { runIsolate } from "../src/isolate/mod.ts";

runIsolate("forward", (isolate) => serveFiles(isolate, isolate.settings.shared.root ? actAsRootConfined() : actAsSelf));
