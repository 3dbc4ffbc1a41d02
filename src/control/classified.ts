/** Says what kind of failure an event reports. Here, so that the isolates that report it need not load the rules for that. Pure. */

import type { Agent } from "../envelope/mod.ts";
import type { Event } from "../events/mod.ts";
import { classifyText, type ReplyClass } from "../reply_class/mod.ts";

/** Returns the event with the class of its reply: of a delivery that failed always, of a refusal where `recording`. */
export function classified(event: Event, { recording }: { readonly recording: boolean }): Event {
  switch (event.type) {
    case "delivery":
      if (event.outcome === "ok") return event;
      return { ...event, replyClass: classifyOutcome({ agent: event.agent, text: event.stat }) };
    case "smtp-failed-command":
    case "smtp-bad-input":
      return recording ? { ...event, replyClass: classifyText(event.reply) } : event;
    default:
      return event;
  }
}

/** Returns the class of the text of an outcome, without the words that local deliveries have around it. */
export function classifyOutcome({ agent, text }: { readonly agent: Agent; readonly text: string }): ReplyClass {
  return classifyText(agent === "mda" ? text.replace(/^Error \((.*)\)$/s, "$1") : text);
}
