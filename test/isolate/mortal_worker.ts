/** An isolate for the supervisor's test: reports which neighbours its doors have, and dies or hangs on request. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { SCHEDULER_DOORS } from "../../src/protocol/isolates/scheduler.ts";
import { say } from "./toy.ts";

runIsolate("scheduler", SCHEDULER_DOORS, (isolate) => {
  const received = (text: string) => say("scheduler", text);
  isolate.serve("queue-scheduler", (channel) => {
    received("welcome");
    channel.onreset = () => received("reset");
  });
  isolate.onsettings = () => {
    queueMicrotask(() => {
      throw new Error("made to die");
    });
  };
});
