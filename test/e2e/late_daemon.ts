/** smtpd whose queue believes the time of day in the file `ahead` of its spool: see late_queue.ts. */

import { runOwnDaemon } from "./own_daemon.ts";

await runOwnDaemon({
  name: "late",
  entry: (role) => role === "queue" ? new URL("./late_queue.ts", import.meta.url) : undefined,
});
