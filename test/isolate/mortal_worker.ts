/** An isolate for the supervisor's test: tells its door neighbours apart, and dies or hangs when told. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SCHEDULER_DOORS } from "../../src/protocol/isolates/scheduler.ts";
import { say } from "./toy.ts";

runIsolate("scheduler", SCHEDULER_DOORS, (isolate) => {
  const heard = (text: string) => say("scheduler", text);
  isolate.serve("queue-scheduler", (channel) => {
    heard("welcome");
    channel.onreset = () => heard("reset");
  });
  isolate.onsettings = () => {
    queueMicrotask(() => {
      throw new Error("told to die");
    });
  };
});
