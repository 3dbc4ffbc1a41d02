/**
 * How far a long job is, on standard error: a bar with rate and remaining time on a screen, a line now and then elsewhere. What is done within a second
 * shows nothing. Draws when it is told of progress and once a second between; the caller ends it, best with `using`.
 */

import type { Clock } from "../clock.ts";
import { safeLine } from "../events/mod.ts";
import type { Terminal } from "./terminal.ts";

/** Nothing is shown before so long, in ms. */
const QUIET_MS = 1_000;
/** Time between two drawings of the bar at least, in ms; and between two lines where there is no screen. */
const REDRAW_MS = 100, LINE_MS = 10_000;
/** The rate is that of the last so many ms. */
const RATE_MS = 10_000;
/** Samples that are kept for the rate, some each second. */
const SAMPLE_MS = 500;
const MAX_BAR_COLUMNS = 40, MIN_BAR_COLUMNS = 8;
/** Columns of a screen that does not tell. */
const DEFAULT_COLUMNS = 80;
/** Back to the first column, and all behind it erased. */
const ERASE = "\r\x1b[K";

export interface ProgressOptions {
  /** What is being done, in a word or two. */
  readonly label: string;
  /** What there is to do in all, where that is known from the start. */
  readonly total?: number | undefined;
  /** What is counted, in the plural; `bytes` are shown as KiB, MiB and GiB. */
  readonly unit: string;
  readonly clock: Clock;
  readonly terminal: Pick<Terminal, "err" | "screen">;
  /** Without it the end has a line that sums up, if anything was shown. */
  readonly summary?: "none";
}

/** Where a job stands, for its line. */
export interface ProgressState {
  readonly label: string;
  readonly done: number;
  readonly total: number | null;
  readonly unit: string;
  readonly elapsedMs: number;
  /** Null as long as it is not known. */
  readonly perSecond: number | null;
}

interface Sample {
  readonly at: number;
  readonly done: number;
}

/** The progress of one job. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #startedAt: number;
  readonly #cancelTimer: () => void;
  #total: number | null;
  #done = 0;
  #samples: Sample[];
  #shownAt: number | null = null;
  #drawn = false;
  #ended = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#total = options.total ?? null;
    this.#startedAt = options.clock.steady();
    this.#samples = [{ at: this.#startedAt, done: 0 }];
    this.#cancelTimer = options.clock.every(QUIET_MS, () => this.#show());
  }

  /** So much more is done. */
  add(count = 1): void {
    this.#done += count;
    this.#show();
  }

  /** So much is done in all. */
  set(done: number): void {
    this.#done = done;
    this.#show();
  }

  /** What there is to do in all is known now, or has changed. */
  set total(total: number) {
    this.#total = total;
  }

  /** Writes text of whole lines to standard error without tearing the bar. */
  err(text: string): void {
    this.#erase();
    this.#options.terminal.err(text);
  }

  /** Makes room for what others print: the bar comes back with the next step. */
  pause(): void {
    this.#erase();
  }

  /** Ends it: the bar gives way to a line that sums up, if anything was shown. Does nothing the second time. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer();
    if (this.#shownAt === null) return;
    this.#erase();
    if (this.#options.summary === "none") return;
    const elapsedMs = this.#options.clock.steady() - this.#startedAt;
    this.#options.terminal.err(`${safeLine(summaryOf(this.#state(elapsedMs)))}\n`);
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #show(): void {
    if (this.#ended) return;
    const { clock, terminal } = this.#options;
    const now = clock.steady(), elapsedMs = now - this.#startedAt;
    this.#sample(now);
    const columns = terminal.screen?.() ?? null;
    const pauseMs = columns === null ? LINE_MS : this.#shownAt === null ? QUIET_MS : REDRAW_MS;
    if (now - (this.#shownAt ?? this.#startedAt) < pauseMs) return;
    this.#shownAt = now;
    const state = this.#state(elapsedMs);
    if (columns === null) return terminal.err(`${safeLine(lineOf(state))}\n`);
    this.#drawn = true;
    // The last column stays free: writing into it moves the cursor on some screens.
    terminal.err(`\r${safeLine(barOf(state, (columns > 0 ? columns : DEFAULT_COLUMNS) - 1))}\x1b[K`);
  }

  #erase(): void {
    if (this.#drawn) this.#options.terminal.err(ERASE);
    this.#drawn = false;
  }

  #sample(now: number): void {
    if (now - this.#samples.at(-1)!.at < SAMPLE_MS) return;
    this.#samples.push({ at: now, done: this.#done });
    while (this.#samples.length > 2 && now - this.#samples[1]!.at >= RATE_MS) this.#samples.shift();
  }

  #state(elapsedMs: number): ProgressState {
    const { label, unit, clock } = this.#options;
    const first = this.#samples[0]!, ms = clock.steady() - first.at;
    const perSecond = ms < SAMPLE_MS ? null : (this.#done - first.done) * 1000 / ms;
    return { label, unit, done: this.#done, total: this.#total, elapsedMs, perSecond };
  }
}

/** Returns the line of the bar, at most `columns` characters: what matters least is left out where there is no room. */
export function barOf(state: ProgressState, columns: number): string {
  const { label, done, total, unit } = state;
  const counts = total === null ? amount(done, unit) : `${part(done, unit)}/${amount(total, unit)}`;
  const rate = rateOf(state), time = timeOf(state);
  const percent = total === null || total <= 0 ? "" : `${Math.min(100, Math.floor(done * 100 / total))}%`;
  const choices = [[label, percent, counts, rate, time], [label, percent, counts, time], [percent, counts, time], [
    percent,
    time,
  ], [percent || counts]].map((words) => words.filter((word) => word !== ""));
  for (const words of choices) {
    const text = words.join("  "), room = columns - text.length - 4;
    if (text.length > columns) continue;
    if (percent === "" || words[0] !== label || room < MIN_BAR_COLUMNS) return text;
    const width = Math.min(room, MAX_BAR_COLUMNS), full = Math.min(width, Math.floor(width * done / total!));
    const bar = `[${"#".repeat(full)}${"-".repeat(width - full)}]`;
    return [words[0], bar, ...words.slice(1)].join("  ");
  }
  return choices.at(-1)!.join("  ").slice(0, Math.max(0, columns));
}

function lineOf(state: ProgressState): string {
  const { label, done, total, unit } = state;
  const of = total === null ? amount(done, unit) : `${part(done, unit)} of ${amount(total, unit)}`;
  return [`${label}: ${of}`, rateOf(state), timeOf(state)].filter((word) => word !== "").join(", ");
}

/** `import: 1200 messages in 0:12, 100/s`. */
export function summaryOf({ label, done, unit, elapsedMs }: ProgressState): string {
  const perSecond = elapsedMs > 0 ? done * 1000 / elapsedMs : null;
  const rate = rateOf({ unit, perSecond });
  return `${label}: ${amount(done, unit)} in ${clockTime(elapsedMs)}${rate === "" ? "" : `, ${rate}`}`;
}

function rateOf({ unit, perSecond }: Pick<ProgressState, "unit" | "perSecond">): string {
  if (perSecond === null) return "";
  return `${unit === "bytes" ? amount(perSecond, unit) : plain(perSecond)}/s`;
}

/** What is left, or how long it has lasted where the end is not known. */
function timeOf({ done, total, elapsedMs, perSecond }: ProgressState): string {
  if (total === null) return clockTime(elapsedMs);
  if (perSecond === null || perSecond <= 0) return "";
  return `${clockTime(Math.max(0, total - done) * 1000 / perSecond)} left`;
}

function plain(value: number): string {
  return value > 0 && value < 10 ? value.toFixed(1) : String(Math.round(value));
}

function part(value: number, unit: string): string {
  return unit === "bytes" ? amount(value, unit) : String(value);
}

function amount(value: number, unit: string): string {
  if (unit !== "bytes") return `${value} ${unit}`;
  for (const name of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (value < 1000 || name === "GiB") return `${value.toFixed(1)} ${name}`;
  }
  return "";
}

/** `0:07`, `12:30`, `3:00:00`. */
function clockTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
