/**
 * The output of the log: lines are gathered for a moment and go through LogTape to one sink, stderr or main's syslog. A LogTape record costs
 * about 3 µs, so that lines of one level that come together travel as one record.
 */

import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { type LogLevel, safeLine } from "../events/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** Takes finished lines, in order, all of one level. */
export type WriteLines = (level: LogLevel, lines: readonly string[]) => void;

/** What the logbook needs of its surroundings. */
export interface LogbookOptions {
  readonly write: WriteLines;
  /** Called after the last `write` of a batch. */
  readonly flushed?: () => void;
}

/** How long a line may wait for company, in ms. */
const GATHER_MS = 2;
/** Lines that wait are written at once when there are more. */
const MAX_WAITING_LINES = 2_000;
const CATEGORY = "vaultpost";
const LOGTAPE_LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "crit",
  fatal: "crit",
};

/** One for each isolate: LogTape's configuration is global. */
export class Logbook {
  readonly #options: LogbookOptions;
  readonly #logger: Logger;
  #level: LogLevel = "info";
  #lines: string[] = [];
  readonly #clock: Clock;
  #cancelTimer: (() => void) | null = null;

  constructor(options: LogbookOptions, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#options = options;
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

  /** Adds one line (without its end), with whatever could act on a terminal or begin another line encoded. It is written within GATHER_MS, at once when it is critical. */
  line(level: LogLevel, text: string): void {
    if (level !== this.#level) this.#hand();
    this.#level = level;
    this.#lines.push(safeLine(text));
    if (level === "crit" || this.#lines.length >= MAX_WAITING_LINES) return this.flush();
    this.#cancelTimer ??= this.#clock.after(GATHER_MS, () => this.flush());
  }

  /** Writes what waits. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#hand();
    this.#options.flushed?.();
  }

  /** Hands the lines gathered so far to LogTape, as one record. */
  #hand(): void {
    if (this.#lines.length === 0) return;
    const text = this.#lines.join("\n");
    this.#lines = [];
    // The template form: text from outside is a value, its braces are no placeholders.
    if (this.#level === "info") this.#logger.info`${text}`;
    else if (this.#level === "debug") this.#logger.debug`${text}`;
    else if (this.#level === "warn") this.#logger.warn`${text}`;
    else this.#logger.fatal`${text}`;
  }

  #sink(record: LogRecord): void {
    this.#options.write(LOGTAPE_LEVELS[record.level] ?? "info", record.message.join("").split("\n"));
  }
}

/** A sink that writes plain lines to stderr, one system call a batch. Needs no permission. */
export function stderrSink(writeSync: (bytes: Uint8Array) => number): LogbookOptions {
  const encoder = new TextEncoder();
  let waiting: string[] = [];
  return {
    write: (_level, lines) => void waiting.push(...lines),
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
