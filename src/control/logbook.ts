/**
 * The output of the log: lines are gathered for a moment and go through LogTape to the places of the log: stderr, or main's. A LogTape record costs
 * about 3 µs, so that lines of one level that come together travel as one record.
 */

import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { formatJsonLine, journalFields, type LogEntry, type LogLevel, safeLine, textEvent } from "../events/mod.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { LogLine, LogTarget } from "../protocol/mod.ts";

/** Takes finished lines, in order, all of one level. */
export type WriteLines = (entries: readonly LogEntry[]) => void;

/** A place where lines go. */
export interface LogOutput {
  readonly write: WriteLines;
  /** Called after the last `write` of a batch. */
  readonly flushed?: () => void;
}

/** How long a line may wait for company, in ms. */
const GATHER_MS = 2;
/** Lines that wait are written at once when there are more. */
const MAX_WAITING_LINES = 2_000;
const CATEGORY = "vaultpost";
/** What the isolate of the log itself says is from. */
const OWN_NAME = "control";

/** One for each isolate: LogTape's configuration is global. */
export class Logbook {
  readonly #logger: Logger;
  readonly #clock: Clock;
  #outputs: readonly LogOutput[];
  #level: LogLevel = "info";
  #entries: LogEntry[] = [];
  #cancelTimer: (() => void) | null = null;

  constructor(outputs: readonly LogOutput[], clock: Clock = systemClock) {
    this.#clock = clock;
    this.#outputs = outputs;
    configureSync({
      reset: true,
      sinks: { log: (record) => this.#sink(record) },
      loggers: [
        { category: CATEGORY, sinks: ["log"], lowestLevel: "debug" },
        { category: ["logtape", "meta"], sinks: ["log"], lowestLevel: "warning" },
      ],
    });
    this.#logger = getLogger(CATEGORY);
  }

  /**
   * Adds one line (without its end), with whatever could act on a terminal or begin another line encoded. It is written within GATHER_MS, at once when
   * it is critical. `of` is the event that it is about and who reports it; without it the line is this isolate's own.
   */
  line(level: LogLevel, text: string, of?: Pick<LogEntry, "event" | "isolate">): void {
    if (level !== this.#level) this.#hand();
    this.#level = level;
    const { event, isolate } = of ?? { event: textEvent(level, text), isolate: OWN_NAME };
    this.#entries.push({ level, text: safeLine(text), at: this.#clock.now(), event, isolate });
    if (level === "crit" || this.#entries.length >= MAX_WAITING_LINES) return this.flush();
    this.#cancelTimer ??= this.#clock.after(GATHER_MS, () => this.flush());
  }

  /** Writes what waits. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#hand();
    for (const { flushed } of this.#outputs) flushed?.();
  }

  /** From now on lines go to these places; what waits still goes to those before. */
  redirect(outputs: readonly LogOutput[]): void {
    this.flush();
    this.#outputs = outputs;
  }

  /** Hands the lines gathered so far to LogTape, as one record. */
  #hand(): void {
    if (this.#entries.length === 0) return;
    const entries = this.#entries;
    this.#entries = [];
    if (this.#level === "info") this.#logger.info("lines", { entries });
    else if (this.#level === "debug") this.#logger.debug("lines", { entries });
    else if (this.#level === "warn") this.#logger.warn("lines", { entries });
    else this.#logger.fatal("lines", { entries });
  }

  #sink({ category, message, properties }: LogRecord): void {
    const entries = category[0] === CATEGORY ? properties.entries as LogEntry[] : [this.#ofLogTape(message)];
    for (const { write } of this.#outputs) write(entries);
  }

  /** LogTape itself has something to say. */
  #ofLogTape(message: readonly unknown[]): LogEntry {
    const text = safeLine(`warn: log: ${message.map(String).join("")}`);
    return { level: "warn", text, at: this.#clock.now(), event: textEvent("warn", text), isolate: OWN_NAME };
  }
}

/** Returns the outputs for the places of the log: `writeStderr` writes some octets to stderr, `send` posts lines to main. */
export function outputsOf(
  targets: readonly LogTarget[],
  writeStderr: (bytes: Uint8Array) => number,
  send: (target: number, lines: readonly LogLine[]) => void,
): LogOutput[] {
  return targets.map(({ id, kind, format }) => {
    const textOf = format === "json" ? formatJsonLine : ({ text }: LogEntry) => text;
    if (kind === "stderr") return stderrOutput(writeStderr, textOf);
    return {
      write: (entries) =>
        send(
          id,
          entries.map((entry) => ({
            level: entry.level,
            text: textOf(entry),
            ...kind === "journald" ? { fields: journalFields(entry).map(([name, value]) => ({ name, value })) } : {},
          })),
        ),
    };
  });
}

/** An output that writes lines to stderr, one system call a batch. Needs no permission. */
export function stderrOutput(
  writeSync: (bytes: Uint8Array) => number,
  textOf: (entry: LogEntry) => string = ({ text }) => text,
): LogOutput {
  const encoder = new TextEncoder();
  let waiting: string[] = [];
  return {
    write: (entries) => void waiting.push(...entries.map(textOf)),
    flushed: () => {
      if (waiting.length === 0) return;
      const bytes = encoder.encode(waiting.join("\n") + "\n");
      waiting = [];
      writeAll(writeSync, bytes);
    },
  };
}

/** Writes all of `bytes`. A log that nobody reads must not stop the mail: after some refusals the rest is dropped. */
function writeAll(writeSync: (bytes: Uint8Array) => number, bytes: Uint8Array): void {
  for (let refusals = 0; bytes.length > 0 && refusals < 100;) {
    try {
      bytes = bytes.subarray(writeSync(bytes));
    } catch {
      refusals++;
    }
  }
}
