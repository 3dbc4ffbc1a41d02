/** Says what kind of failure an event reports. Here, so that the isolates that report it need not load the rules for that. Pure. */

import type { Event } from "../events/mod.ts";
import { classifyText } from "../reply_class/mod.ts";

/** Returns the event with the class of its reply: of a delivery that failed always, of a refusal where `recording`. */
export function classified(event: Event, { recording }: { readonly recording: boolean }): Event {
  switch (event.type) {
    case "delivery":
      if (event.outcome === "ok") return event;
      return { ...event, replyClass: classifyText(saidBy(event)) };
    case "smtp-failed-command":
    case "smtp-bad-input":
      return recording ? { ...event, replyClass: classifyText(event.reply) } : event;
    default:
      return event;
  }
}

/** The reply, without the words that the log of local deliveries has around it. */
function saidBy({ agent, stat }: Extract<Event, { type: "delivery" }>): string {
  return agent === "mda" ? stat.replace(/^Error \((.*)\)$/s, "$1") : stat;
}
