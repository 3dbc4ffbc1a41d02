/**
 * The real queue isolate. It starts at noon, UTC, so that no midnight passes by itself, and its time is ahead of that by as many milliseconds as the
 * file `ahead` in its spool says.
 */

import { runIsolate } from "../../src/isolate/mod.ts";
import { QUEUE_DOORS } from "../../src/protocol/isolates/queue.ts";
import { serveQueue } from "../../src/queue/serve.ts";
import { type Clock, systemClock } from "../../src/clock.ts";

/** Waits that are longer are over as soon as the time of day says so. */
const LONG_MS = 60_000, LOOK_MS = 20;

const DAY_MS = 86_400_000;
const untilNoon = (1.5 * DAY_MS - Date.now() % DAY_MS) % DAY_MS;

runIsolate("queue", QUEUE_DOORS, (isolate) => {
  const ahead = () => {
    try {
      return Number(Deno.readTextFileSync(`${isolate.settings.spool}/ahead`));
    } catch {
      return 0;
    }
  };
  const now = () => Date.now() + untilNoon + ahead();
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
