/** An event as control sends it: a line of JSON, and behind a tab its detail, which no isolate has looked into before this one. Pure. */

import type { RecordedEvent } from "../events/mod.ts";
import { unpacked } from "../protocol/event_details.ts";
import type { Line } from "./assembler.ts";
import { parseLine } from "./store.ts";

/** Returns the event, with the line that is stored; a text says what is wrong with it. */
export function receivedLine(text: string): Line | string {
  const tab = text.indexOf("\t");
  const head = tab < 0 ? text : text.slice(0, tab);
  const recorded = parseLine(head);
  if (recorded === null) return "it is no event";
  if (tab < 0) return { text, recorded };
  const detail = text.slice(tab + 1);
  const event = unpacked({ ...recorded.event, detail } as unknown as RecordedEvent["event"]);
  if (typeof event === "string") return event;
  if (!head.endsWith("}}")) return "it is no event";
  return { text: `${head.slice(0, -2)},"detail":${detail}}}`, recorded: { ...recorded, event } };
}
