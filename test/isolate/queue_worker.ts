/** The scheduler's neighbour in the supervisor's test. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { QUEUE_DOORS } from "../../src/protocol/isolates/queue.ts";
import { say } from "./toy.ts";

runIsolate("queue", QUEUE_DOORS, (isolate) => {
  const received = (text: string) => say("queue", text);
  isolate.ask("queue-scheduler").onreset = () => received("scheduler went away");
});
