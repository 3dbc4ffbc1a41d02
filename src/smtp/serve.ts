/** Entry of the smtp isolate: ties the service to the doors that main has made. */

import { setImmediate } from "node:timers";
import type { EmitEvent, Event } from "../events/mod.ts";
import type { Isolate } from "../isolate/mod.ts";
import { type Clock, SmtpService } from "./service.ts";

const systemClock: Clock = {
  now: () => Date.now(),
  steady: () => performance.now(),
  every(ms, run) {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
  soon: (run) => void setImmediate(run),
};

/** How long an event may wait for others, in milliseconds: waking the log for each would cost more than writing it. */
const REPORT_DELAY_MS = 5;

/** A report that passes events on in groups, in order. `flush` passes on at once what it holds. */
function grouped(emit: EmitEvent): { emit: EmitEvent; flush(): void } {
  let held: Event[] = [];
  const flush = () => {
    const events = held;
    held = [];
    for (const event of events) emit(event);
  };
  return {
    emit(event) {
      if (held.push(event) === 1) setTimeout(flush, REPORT_DELAY_MS);
    },
    flush,
  };
}

/** Collects ended sessions and tells main of several at once, for the same reason. */
function collected(tell: (tickets: readonly number[]) => void): (ticket: number) => void {
  let tickets: number[] = [];
  return (ticket) => {
    if (tickets.push(ticket) > 1) return;
    setTimeout(() => {
      tell(tickets);
      tickets = [];
    }, REPORT_DELAY_MS);
  };
}

/** Serves sessions until main says stop. */
export function serveSmtp(isolate: Isolate<"smtp">): void {
  const events = grouped(isolate.emit);
  const asked = new Map<number, (admitted: boolean) => void>();
  isolate.onsource = (ticket, admitted) => {
    asked.get(ticket)?.(admitted);
    asked.delete(ticket);
  };
  const service = new SmtpService({
    settings: isolate.settings,
    lookup: isolate.ask("smtp-lookup"),
    queue: isolate.ask("smtp-queue"),
    filter: isolate.ask("smtp-filter"),
    emit: events.emit,
    observer: isolate,
    askSource(ticket, address, answer) {
      asked.set(ticket, answer);
      isolate.tell({ type: "source", ticket, address });
    },
    clock: systemClock,
    ended: collected((tickets) => isolate.tell({ type: "sessions-ended", tickets })),
  });
  isolate.onsession = (...session) => service.session(...session);
  isolate.oncertificates = () => service.renew(isolate.settings);
  isolate.onstop = async () => {
    await service.stop();
    events.flush();
  };
}
