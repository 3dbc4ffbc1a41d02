/**
 * Hands what is recorded on to the history, in batches. Mail never waits for that: what the history does not take in time is left out and counted, and a line of the log
 * says so.
 */

import type { Event, LogLevel, RecordedEvent, Stats } from "../events/mod.ts";
import { type Clock, systemClock } from "../clock.ts";
import { Caller, type Channel, type Isolate, PeerGone } from "../isolate/mod.ts";
import type { FromHistory, ToHistory } from "../protocol/mod.ts";

/** The history as control asks it: what was recorded before a question is sent before it. Without an isolate that answers, a question is lost at once. */
export class HistoryDoor extends Caller<ToHistory, FromHistory> {
  /** Called before each question. */
  onask: () => void = () => {};
  readonly #channel: Channel<ToHistory, FromHistory>;

  constructor(channel: Channel<ToHistory, FromHistory>) {
    super(channel);
    this.#channel = channel;
  }

  get connected(): boolean {
    return this.#channel.connected !== false;
  }

  override ask<Kind extends FromHistory["type"]>(
    question: Parameters<Caller<ToHistory, FromHistory>["ask"]>[0],
  ): Promise<Extract<FromHistory, { readonly type: Kind }>> {
    this.onask();
    return this.connected ? super.ask<Kind>(question) : Promise.reject(new PeerGone());
  }
}

export interface RecorderDeps {
  readonly history: Pick<HistoryDoor, "request" | "ask" | "connected">;
  readonly clock: Pick<Clock, "now" | "steady" | "after">;
  /** Are events recorded now? */
  recording(): boolean;
  /** Gets the number of events that were left out since the last call, and how many in all. */
  leftOut(events: number): void;
  warn(text: string): void;
}

/** A batch is sent after so long, or when it has so many characters. */
const SEND_MS = 200, BATCH_CHARS = 256 * 1024;
/** Characters that are with the history, or wait for it: beyond it events are left out. */
const MAX_WAITING_CHARS = 16 * 1024 * 1024;
/** Characters of one event. A message with thousands of recipients has more. */
const MAX_EVENT_CHARS = 1024 * 1024;
/** The log has a line in so long about what is left out. */
const WARN_MS = 60_000;

/** Of statistics, of lines of text, and of the order of the log. */
const NOT_RECORDED: ReadonlySet<Event["type"]> = new Set<Event["type"]>([
  "count",
  "gauge",
  "histogram",
  "log",
  "trace",
  "smtp-committed",
]);

export class HistoryRecorder {
  readonly #deps: RecorderDeps;
  #batch: string[] = [];
  #batchChars = 0;
  #sentChars = 0;
  #cancelSend: (() => void) | null = null;
  /** The event of a message names its envelopes. */
  #detailed = false;
  #leftOut = 0;
  #warnedAt = -Infinity;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
  }

  /** Takes an event as the isolate of this name has reported it. */
  take(event: Event, isolate: string): void {
    if (NOT_RECORDED.has(event.type) || !this.#deps.recording()) return;
    if (event.type === "smtp-message") this.#detailed = event.detail !== undefined;
    else if (event.type === "smtp-envelope" && this.#detailed) return;
    const line = lineOf({ at: this.#deps.clock.now(), isolate, event });
    if (line === null) return this.#lose(1);
    const room = this.#batchChars + this.#sentChars + line.length <= MAX_WAITING_CHARS;
    if (!room || line.length > MAX_EVENT_CHARS) return this.#lose(1);
    this.#batch.push(line);
    this.#batchChars += line.length + 1;
    if (this.#batchChars >= BATCH_CHARS) this.send();
    else this.#cancelSend ??= this.#deps.clock.after(SEND_MS, () => this.send());
  }

  /** Sends what has come. Where nobody takes it, it waits for the successor. */
  send(): void {
    this.#cancelSend?.();
    this.#cancelSend = null;
    if (this.#batch.length === 0) return;
    const { connected } = this.#deps.history;
    if (!connected && this.#deps.recording()) {
      this.#cancelSend = this.#deps.clock.after(SEND_MS, () => this.send());
      return;
    }
    const events = this.#batch.length, chars = this.#batchChars;
    const text = this.#batch.join("\n");
    this.#batch = [];
    this.#batchChars = 0;
    if (!connected) return;
    this.#sentChars += chars;
    this.#deps.history.request<"recorded">({ type: "record", events: text }, ({ leftOut }) => {
      this.#sentChars -= chars;
      // The history has said why.
      if (leftOut > 0) this.#deps.leftOut(leftOut);
    }, () => {
      this.#sentChars -= chars;
      this.#lose(events);
    });
  }

  /** Sends what has come, and resolves when the history has it. */
  async flush(): Promise<void> {
    this.send();
    if (this.#deps.recording() && this.#deps.history.connected) {
      await this.#deps.history.ask<"history-state">({ type: "history-state" }).catch(() => {});
    }
  }

  #lose(events: number): void {
    this.#deps.leftOut(events);
    this.#leftOut += events;
    const { clock } = this.#deps;
    if (clock.steady() - this.#warnedAt < WARN_MS) return;
    this.#warnedAt = clock.steady();
    const what = this.#leftOut === 1 ? "1 event was" : `${this.#leftOut} events were`;
    this.#deps.warn(`warn: history: ${what} not recorded: it does not take them in time`);
    this.#leftOut = 0;
  }
}

/** The line of an event: its detail, which is JSON text already, behind a tab. Null where that is no such text: it could make lines of its own. */
function lineOf(recorded: RecordedEvent): string | null {
  const { detail, ...event } = recorded.event as Event & { readonly detail?: unknown };
  if (typeof detail !== "string") return JSON.stringify(recorded);
  if (detail.includes("\n") || detail.includes("\t")) return null;
  return `${JSON.stringify({ ...recorded, event })}\t${detail}`;
}

/** Returns what hands events of this isolate's doors on to the history. */
export function recordHistory({ isolate, history, stats, log }: {
  readonly isolate: Pick<Isolate<"control">, "recording">;
  readonly history: HistoryDoor;
  readonly stats: Stats;
  readonly log: (level: LogLevel, text: string) => void;
}): HistoryRecorder {
  const recorder = new HistoryRecorder({
    history,
    clock: systemClock,
    recording: () => isolate.recording === true,
    leftOut: (events) => stats.add("history.left-out", events),
    warn: (text) => log("warn", text),
  });
  history.onask = () => recorder.send();
  return recorder;
}
