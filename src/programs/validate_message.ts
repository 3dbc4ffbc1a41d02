/**
 * The messages of the isolates with sessions at the door of the filters, checked: they talk to the public, and their texts go into the lines of a
 * protocol. Pure.
 */

import { isSessionId } from "../envelope/mod.ts";
import type { SessionToFilter } from "../protocol/mod.ts";
import { FILTER_PHASES } from "../protocol/filters.ts";

const LF = 0x0a;

/** Returns whether a message can be passed on to a program. One that cannot comes from a compromised isolate. */
export function isValidMessage(message: SessionToFilter): boolean {
  switch (message.type) {
    case "event":
      return isSessionId(message.session) && Array.isArray(message.processes) && typeof message.params === "string";
    case "request":
      return isSessionId(message.session) && isSessionId(message.token) && FILTER_PHASES.includes(message.phase) &&
        typeof message.param === "string";
    case "lines":
      return isSessionId(message.session) && isSessionId(message.token) && message.bytes instanceof Uint8Array &&
        message.bytes.at(-1) === LF;
    case "taken":
      return message.bytes >= 0;
    case "gone":
      return true;
  }
  message satisfies never;
  return false;
}
