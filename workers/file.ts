/** Entry of the file isolates; all they do is in src/delivery. */

import { actAsRootConfined, actAsSelf, serveFiles } from "../src/delivery/serve_files.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { FILE_DOORS } from "../src/protocol/isolates/file.ts";

runIsolate(
  "file",
  FILE_DOORS,
  (isolate) => serveFiles(isolate, isolate.settings.shared.root ? actAsRootConfined() : actAsSelf),
);
