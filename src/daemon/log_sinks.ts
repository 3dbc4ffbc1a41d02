/** The places of the log as main has them: it writes its own lines to all of them, and those of control to the ones that control cannot reach. */

import { hostname } from "node:os";
import type { LogFormat, LogSink } from "../config/mod.ts";
import { formatJsonLine, journalFields, type LogLevel, safeLine, textEvent } from "../events/mod.ts";
import type { LogLine, LogTarget } from "../protocol/mod.ts";
import type { Clock } from "../clock.ts";
import { Fatal, gather } from "./fatal.ts";
import { Journal, type JournalOptions } from "./journal.ts";
import { type LogFile, logFileFault, openOrFail } from "./log_file.ts";
import type { Native } from "./machine/native.ts";

/** The name under which main reports. */
const OWN_NAME = "main";
/** A place that is no longer named is kept for so long: control may have posted lines to it. */
const KEEP_MS = 5_000;

/**
 * Where the log goes, by the configuration and the command line: `-d` has lines on standard error as well, whatever the configuration says. `toJournal`:
 * standard error is read by journald, which gets no line twice.
 */
export function sinksOf(
  log: readonly LogSink[],
  { asked, toJournal }: { readonly asked: "stderr" | "syslog"; readonly toJournal: boolean },
): readonly LogSink[] {
  if (log.length === 0) return [{ kind: asked, format: "text" }];
  const enough = log.some(({ kind }) => kind === "stderr" || (kind === "journald" && toJournal));
  return asked === "syslog" || enough ? log : [{ kind: "stderr", format: "text" }, ...log];
}

/** Throws Fatal when there cannot be a log where the configuration wants it. Changes nothing. */
export async function checkLogFiles(log: readonly LogSink[]): Promise<void> {
  await gather(log.map((sink) => () => {
    const fault = sink.kind === "file" ? logFileFault(sink.path) : null;
    if (fault !== null) throw new Fatal(`${placeOf(sink)}the log cannot go there: ${fault}`);
  }));
}

function placeOf({ at }: LogSink): string {
  return at === undefined ? "" : `${at.file}:${at.line}: `;
}

export interface LogSinksOptions {
  readonly native: Pick<Native, "syslog" | keyof JournalOptions["native"]>;
  readonly clock: Pick<Clock, "now" | "after">;
  /** Where journald listens. */
  readonly journal: string;
}

/** A place that is open. */
interface Place {
  readonly target: LogTarget;
  readonly key: string;
  /** Writes finished lines. */
  readonly write: (lines: readonly LogLine[]) => void;
  readonly file?: LogFile;
  readonly close: () => Promise<void> | void;
}

/** Other places of the log, which are ready: one of the two is to be called. */
export interface LogChange {
  /** For the settings of control. */
  readonly targets: readonly LogTarget[];
  /** The log goes there from now on. */
  commit(): void;
  /** It goes on where it went; nothing happens after `commit`. */
  undo(): void;
}

/** All places of the log. */
export class LogSinks {
  readonly #options: LogSinksOptions;
  readonly #places = new Map<number, Place>();
  #current: readonly Place[] = [];
  #lastId = 0;

  constructor(options: LogSinksOptions) {
    this.#options = options;
  }

  /** The places, for the settings of control. */
  get targets(): readonly LogTarget[] {
    return this.#current.map(({ target }) => target);
  }

  /** From now on the log goes to these places; what stays keeps its number. Throws Fatal, and changes nothing, when a file cannot be opened. */
  replace(sinks: readonly LogSink[]): void {
    this.prepare(sinks).commit();
  }

  /** Opens what is not open yet, and goes on as before until `commit`. Throws Fatal, and changes nothing, when a file cannot be opened. */
  prepare(sinks: readonly LogSink[]): LogChange {
    const opened: Place[] = [];
    const wanted: Place[] = [];
    try {
      for (const sink of sinks) {
        const known = this.#current.find(({ key }) => key === keyOf(sink));
        wanted.push(known ?? this.#open(sink));
        if (known === undefined) opened.push(wanted.at(-1)!);
      }
    } catch (error) {
      for (const place of opened) void place.close();
      throw error;
    }
    for (const place of opened) this.#places.set(place.target.id, place);
    const retire = (place: Place) => {
      this.#options.clock.after(KEEP_MS, () => {
        this.#places.delete(place.target.id);
        void place.close();
      });
    };
    let committed = false;
    return {
      targets: wanted.map(({ target }) => target),
      commit: () => {
        committed = true;
        this.#current.filter((place) => !wanted.includes(place)).forEach(retire);
        this.#current = wanted;
      },
      undo: () => {
        if (!committed) opened.forEach(retire);
      },
    };
  }

  /** A line of main itself, to all places. */
  own(level: LogLevel, text: string): void {
    const line = safeLine(text), event = textEvent(level, line);
    const entry = { level, text: line, at: this.#options.clock.now(), isolate: OWN_NAME, event };
    for (const { target, write } of this.#current) {
      const fields = target.kind !== "journald"
        ? {}
        : { fields: journalFields(entry).map(([name, value]) => ({ name, value })) };
      write([{ level, text: target.format === "json" ? formatJsonLine(entry) : line, ...fields }]);
    }
  }

  /** Lines of control for one place. */
  write(target: number, lines: readonly LogLine[]): void {
    this.#places.get(target)?.write(lines);
  }

  /** Opens all files again. Returns how many there are, and why some could not be opened. */
  reopen(): { readonly files: number; readonly faults: readonly string[] } {
    const files = this.#current.flatMap(({ file }) => file ?? []);
    const faults = files.flatMap((file) => {
      try {
        file.reopen();
        return [];
      } catch (error) {
        return [(error as Error).message];
      }
    });
    return { files: files.length, faults };
  }

  /** Resolves when what was logged is written. */
  async close(): Promise<void> {
    await Promise.all([...this.#places.values()].map(({ close }) => close()));
    this.#places.clear();
    this.#current = [];
  }

  #open(sink: LogSink): Place {
    const { native, clock, journal } = this.#options;
    const id = ++this.#lastId;
    const common = { target: { id, kind: sink.kind, format: sink.format }, key: keyOf(sink) };
    switch (sink.kind) {
      case "stderr":
        return { ...common, write: (lines) => lines.forEach(({ text }) => console.error(text)), close: () => {} };
      case "syslog":
        return {
          ...common,
          write: (lines) => lines.forEach(({ level, text }) => native.syslog(level, safeLine(text))),
          close: () => {},
        };
      case "journald": {
        const connection = new Journal({ native, socket: journal, after: clock.after });
        return { ...common, write: (lines) => connection.write(lines), close: () => connection.close() };
      }
      case "file": {
        const stamped = stampOf(sink.format, clock);
        const file = openOrFail({
          path: sink.path,
          note: (text) => this.#note(sink.format, text),
          after: clock.after,
        }, placeOf(sink));
        const write = (lines: readonly LogLine[]) => file.write(lines.map(({ text }) => stamped(safeLine(text))));
        return { ...common, file, write, close: () => file.close() };
      }
    }
  }

  #note(format: LogFormat, text: string): string {
    const level = "warn", line = `${level}: log: ${text}`, at = this.#options.clock.now();
    if (format === "text") return stampOf(format, this.#options.clock)(line);
    return formatJsonLine({ level, text: line, at, isolate: OWN_NAME, event: textEvent(level, line) });
  }
}

/** Lines of text in a file have in front what syslog would put there. Lines of JSON have all that. */
function stampOf(format: LogFormat, { now }: Pick<Clock, "now">): (line: string) => string {
  if (format === "json") return (line) => line;
  const who = `${hostname()} smtpd[${Deno.pid}]`;
  return (line) => `${new Date(now()).toISOString()} ${who}: ${line}`;
}

function keyOf(sink: LogSink): string {
  return `${sink.kind} ${sink.format} ${sink.kind === "file" ? sink.path : ""}`;
}
