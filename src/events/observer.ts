/** Receives what the log leaves out: trace and debug lines cost nothing unless they are enabled. Independent of subsystems. */

import type { Noted } from "./noted.ts";
import type { EmitEvent, Event, Trace } from "./types.ts";

/** What code needs to write trace and debug lines; every isolate is one. Ask before a text is built. */
export interface Observer {
  readonly emit: EmitEvent;
  /** Are lines of this subsystem enabled? */
  traces(trace: Trace): boolean;
  /** Are debug lines enabled? */
  readonly verbose: boolean;
  /** Is called with each decision where somebody listens to them. */
  readonly noted?: (decision: Noted) => void;
  /** Are events recorded for the history? Those that are only for it are emitted when this is true. */
  readonly recording?: boolean;
}

/** Has every trace disabled. */
export const NO_OBSERVER: Observer = { emit: () => {}, traces: () => false, verbose: false, recording: false };

/** Writes `trace: text`. To be called when `observer.traces(trace)` is true. */
export function logTrace(observer: Observer, trace: Trace, text: string): void {
  observer.emit({ type: "trace", trace, text: `${trace}: ${text}` });
}

/** Writes a debug line. To be called when `observer.verbose` is true. */
export function debug(observer: Observer, text: string): void {
  observer.emit({ type: "log", level: "debug", text });
}

/** Returns the event as it is sent to another isolate: its detail as JSON text, which costs half of what a copy of its many objects does. The history makes it whole again. */
export function packed(event: Event): Event {
  const { detail } = event as { readonly detail?: unknown };
  return detail === undefined ? event : { ...event, detail: JSON.stringify(detail) } as unknown as Event;
}
