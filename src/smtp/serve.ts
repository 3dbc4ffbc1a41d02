/** Entry of the smtp isolate: ties the service to the doors that main has made. */

import { setImmediate } from "node:timers";
import type { Event, Report } from "../events/mod.ts";
import type { Isolate } from "../isolate/mod.ts";
import { type Clock, SmtpService } from "./service.ts";

const systemClock: Clock = {
  now: () => Date.now(),
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  soon: (run) => void setImmediate(run),
};

/** How long an event may wait for others, in milliseconds: waking the log for each would cost more than writing it. */
const REPORT_DELAY_MS = 5;

/** A report that passes events on in groups, in order. `flush` passes on at once what it holds. */
function grouped(report: Report): { report: Report; flush(): void } {
  let held: Event[] = [];
  const flush = () => {
    const events = held;
    held = [];
    for (const event of events) report(event);
  };
  return {
    report(event) {
      if (held.push(event) === 1) setTimeout(flush, REPORT_DELAY_MS);
    },
    flush,
  };
}

/** Counts ended sessions and tells main of several at once, for the same reason. */
function counted(tell: (count: number) => void): () => void {
  let count = 0;
  return () => {
    if (++count > 1) return;
    setTimeout(() => {
      tell(count);
      count = 0;
    }, REPORT_DELAY_MS);
  };
}

/** Serves sessions until main says stop. */
export function serveSmtp(isolate: Isolate<"smtp">): void {
  const events = grouped(isolate.report);
  const service = new SmtpService({
    settings: isolate.settings,
    lookup: isolate.ask("smtp-lookup"),
    queue: isolate.ask("smtp-queue"),
    report: events.report,
    observer: isolate,
    clock: systemClock,
    ended: counted((count) => isolate.tell({ type: "sessions-ended", count })),
  });
  isolate.onsession = (descriptor, listener, peer) => service.session(descriptor, listener, peer);
  isolate.onstop = async () => {
    await service.stop();
    events.flush();
  };
}
