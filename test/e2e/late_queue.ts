/** The real queue isolate, with a time of day that is ahead by as many milliseconds as the file `ahead` in its spool says. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { QUEUE_DOORS } from "../../src/protocol/isolates/queue.ts";
import { serveQueue } from "../../src/queue/serve.ts";
import { type Clock, systemClock } from "../../src/clock.ts";

/** Waits that are longer are over as soon as the time of day says so. */
const LONG_MS = 60_000, LOOK_MS = 20;

runIsolate("queue", QUEUE_DOORS, (isolate) => {
  const ahead = () => {
    try {
      return Number(Deno.readTextFileSync(`${isolate.settings.spool}/ahead`));
    } catch {
      return 0;
    }
  };
  const now = () => Date.now() + ahead();
  const clock: Clock = {
    ...systemClock,
    now,
    after(ms, action) {
      if (ms < LONG_MS) return systemClock.after(ms, action);
      const due = now() + ms;
      const cancel = systemClock.every(LOOK_MS, () => {
        if (now() < due) return;
        cancel();
        action();
      });
      return cancel;
    },
  };
  return serveQueue(isolate, clock);
});
