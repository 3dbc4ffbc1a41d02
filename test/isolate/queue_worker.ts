/** The scheduler's neighbour in the supervisor's test. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { say } from "./toy.ts";

runIsolate("queue", (isolate) => {
  const heard = (text: string) => say("queue", text);
  isolate.ask("queue-scheduler").onreset = () => heard("scheduler went away");
});
