/** An isolate that takes its time to become ready, and says so. For tests only. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { QUEUE_DOORS } from "../../src/protocol/isolates/queue.ts";
import { say } from "./toy.ts";

runIsolate("queue", QUEUE_DOORS, async () => {
  say("queue", "wait");
  await new Promise((resolve) => setTimeout(resolve, 1000));
});
