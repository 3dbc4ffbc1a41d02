/** An event as control sends it: a line of JSON, and behind a tab its detail, which no isolate has looked into before this one. Pure. */

import type { RecordedEvent } from "../events/mod.ts";
import { detailFault } from "../protocol/event_details.ts";
import type { Line } from "./assembler.ts";
import { parseLine } from "./store.ts";

/** Returns the event, with the line that is stored; a text says what is wrong with it. */
export function receivedLine(text: string): Line | string {
  const tab = text.indexOf("\t");
  const head = tab < 0 ? text : text.slice(0, tab);
  const recorded = parseLine(head);
  if (recorded === null) return "it is no event";
  if (tab < 0) return { text, recorded };
  const said = text.slice(tab + 1);
  let detail: unknown;
  try {
    detail = JSON.parse(said);
  } catch {
    return `${recorded.event.type}: detail is no JSON`;
  }
  if (!head.endsWith("}}")) return "it is no event";
  (recorded.event as { detail?: unknown }).detail = detail;
  return { text: `${head.slice(0, -2)},"detail":${said}}}`, recorded };
}

/**
 * Returns the event as it is told: without a detail that is not as it must be. That is looked at when a story is read, since few are: what is made of an event when it
 * is stored takes it as it comes.
 */
export function soundEvent(recorded: RecordedEvent): RecordedEvent {
  const { detail, ...event } = recorded.event as RecordedEvent["event"] & { readonly detail?: unknown };
  if (detail === undefined || detailFault(event.type, detail) === null) return recorded;
  return { ...recorded, event: event as RecordedEvent["event"] };
}
