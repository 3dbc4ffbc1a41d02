/** The scheduler's neighbour in the supervisor's test. */

import { runIsolate } from "../../src/isolate/mod.ts";

runIsolate("queue", (isolate) => {
  const heard = (text: string) => isolate.tell({ type: "syslog", lines: [{ level: "info", text }] });
  isolate.ask("queue-scheduler").onreset = () => heard("scheduler went away");
});
