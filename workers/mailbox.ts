/** Entry of the mailbox isolates; all they do is in src/delivery. */

import { actAsRootConfined, actAsSelf, serveFiles } from "../src/delivery/serve_files.ts";
import { runIsolate } from "../src/isolate/mod.ts";
import { MAILBOX_DOORS } from "../src/protocol/isolates/mailbox.ts";

runIsolate(
  "mailbox",
  MAILBOX_DOORS,
  (isolate) => serveFiles(isolate, isolate.settings.shared.root ? actAsRootConfined() : actAsSelf),
);
