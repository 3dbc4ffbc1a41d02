/** Statistics gathered for a moment and reported in bulk: hot paths count thousands of times per second, `show stats` looks now and then. */

import { type Clock, systemClock } from "../clock.ts";
import { type CounterKey, type EmitEvent, type GaugeKey, Histogram, type HistogramKey } from "../events/mod.ts";

/** How long a change may wait before it is reported. */
const DELAY_MS = 50;
/** The same for distributions, of which each report has all buckets. */
const HISTOGRAM_DELAY_MS = 1000;

export class Tally {
  readonly #report: EmitEvent;
  readonly #counts = new Map<CounterKey, number>();
  readonly #gauges = new Map<GaugeKey, number>();
  readonly #reported = new Map<GaugeKey, number>();
  readonly #clock: Clock;
  #cancelTimer: (() => void) | null = null;
  readonly #histograms = new Map<HistogramKey, Histogram>();
  #cancelHistograms: (() => void) | null = null;

  constructor(emit: EmitEvent, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#report = emit;
  }

  /** Adds to a counter. */
  add(key: CounterKey, by = 1): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by);
    this.#arm();
  }

  /** Sets a gauge, which is reported only when it changed. */
  set(key: GaugeKey, to: number): void {
    this.#gauges.set(key, to);
    this.#arm();
  }

  /** Adds a value to a distribution. */
  observe(key: HistogramKey, seconds: number): void {
    let histogram = this.#histograms.get(key);
    if (histogram === undefined) this.#histograms.set(key, histogram = new Histogram(key));
    histogram.observe(seconds);
    this.#cancelHistograms ??= this.#clock.after(HISTOGRAM_DELAY_MS, () => this.#reportHistograms());
  }

  /** Reports everything now. */
  flush(): void {
    this.#reportHistograms();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    for (const [key, by] of this.#counts) this.#report({ type: "count", key, by });
    this.#counts.clear();
    for (const [key, to] of this.#gauges) {
      if (this.#reported.get(key) === to) continue;
      this.#reported.set(key, to);
      this.#report({ type: "gauge", key, to });
    }
    this.#gauges.clear();
  }

  #reportHistograms(): void {
    this.#cancelHistograms?.();
    this.#cancelHistograms = null;
    for (const [key, histogram] of this.#histograms) this.#report({ type: "histogram", key, ...histogram.take() });
    this.#histograms.clear();
  }

  #arm(): void {
    this.#cancelTimer ??= this.#clock.after(DELAY_MS, () => this.flush());
  }
}
