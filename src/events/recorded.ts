/** An event as the history keeps it: who reported it, and when it came. */

import type { Event } from "./types.ts";

export interface RecordedEvent {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The name of the isolate that reported it, as in the log: `smtp-1`, `relay`. */
  readonly isolate: string;
  readonly event: Event;
}
