/** An isolate that takes its time to become ready, and says so. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("queue", async (isolate) => {
  isolate.tell({ type: "syslog", lines: [{ level: "info", text: "wait" }] });
  await new Promise((resolve) => setTimeout(resolve, 1000));
});
