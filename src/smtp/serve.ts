/** Entry of the smtp isolate: ties the service to the doors that main has made. */

import type { Isolate } from "../isolate/mod.ts";
import { type Clock, SmtpService } from "./service.ts";

const systemClock: Clock = {
  now: () => Date.now(),
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
};

/** Serves sessions until main says stop. */
export function serveSmtp(isolate: Isolate<"smtp">): void {
  const service = new SmtpService({
    settings: isolate.settings,
    lookup: isolate.ask("smtp-lookup"),
    queue: isolate.ask("smtp-queue"),
    report: isolate.report,
    clock: systemClock,
    ended: () => isolate.tell({ type: "session-ended" }),
  });
  isolate.onsession = (descriptor, listener, peer) => service.session(descriptor, listener, peer);
  isolate.onstop = () => service.stop();
}
