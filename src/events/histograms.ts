/**
 * Distributions for `/metrics`: how long a thing takes, or how old it is. The one table of them, and how one is counted: in fixed buckets, so that an
 * isolate adds to an array and sends it now and then (src/isolate/tally.ts). Pure; values of this run are kept in stats.ts.
 */

/** Isolates that report a distribution of their own. */
export type HistogramReporter = "smtp";

export interface HistogramMetric {
  /** A sentence for Prometheus and docs/metrics.md. */
  readonly help: string;
  /** Upper ends of the buckets in seconds, rising; what is more stands in one behind them. */
  readonly bounds: readonly number[];
  /** Isolates that report it; none where control counts it itself. */
  readonly from: readonly HistogramReporter[];
  /** It shows what is there now, and is counted anew for each look: no rate can be made of it. */
  readonly snapshot?: true;
}

/** By key. Names for Prometheus follow: `smtp.reply` is `vaultpost_smtp_reply_seconds`. */
export const HISTOGRAMS = {
  "delivery.delay": {
    help: "Time from acceptance of a message to its delivery or to its acceptance by the next host.",
    bounds: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400, 345_600],
    from: [],
  },
  "queue.age": {
    help: "Age of the envelopes that are in the queue now.",
    bounds: [60, 300, 900, 3600, 14_400, 43_200, 86_400, 172_800, 345_600],
    from: [],
    snapshot: true,
  },
  "smtp.reply": {
    help: "Time from a command or the end of a message to the reply.",
    bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    from: ["smtp"],
  },
} as const satisfies Readonly<Record<string, HistogramMetric>>;

export type HistogramKey = keyof typeof HISTOGRAMS;

/** The keys that `reporter` reports. */
export function histogramsFrom(reporter: HistogramReporter): HistogramKey[] {
  return (Object.keys(HISTOGRAMS) as HistogramKey[]).filter((key) => {
    const metric: HistogramMetric = HISTOGRAMS[key];
    return metric.from.includes(reporter);
  });
}

/** What was counted: of each bucket alone, the one behind the last bound included, and the sum of the values in seconds. */
export interface Counts {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Buckets of one distribution. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  sum = 0;

  constructor(key: HistogramKey) {
    this.bounds = HISTOGRAMS[key].bounds;
    this.counts = new Array(this.bounds.length + 1).fill(0);
  }

  /** Adds one value. */
  observe(seconds: number): void {
    this.counts[bucketOf(this.bounds, seconds)]!++;
    this.sum += seconds;
  }

  /** Adds what was counted elsewhere; leaves out what is no count of such a distribution. */
  add({ counts, sum }: Counts): void {
    if (counts.length !== this.counts.length || !Number.isFinite(sum) || !counts.every(isCount)) return;
    counts.forEach((count, index) => this.counts[index]! += count);
    this.sum += sum;
  }

  /** Returns what was counted, and begins anew. */
  take(): Counts {
    const taken = { counts: this.counts.slice(), sum: this.sum };
    this.counts.fill(0);
    this.sum = 0;
    return taken;
  }
}

function isCount(count: number): boolean {
  return Number.isInteger(count) && count >= 0;
}

/** The index of the bucket of a value: the first whose bound is not below it. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let index = 0;
  while (index < bounds.length && value > bounds[index]!) index++;
  return index;
}

/**
 * Returns the value below which the share `q` of all lies, as Prometheus' histogram_quantile() does: as if the values of a bucket were spread evenly over it. Null
 * where there is none; the last bound for what is behind it.
 */
export function quantile(bounds: readonly number[], counts: ArrayLike<number>, q: number): number | null {
  let total = 0;
  for (let index = 0; index < counts.length; index++) total += counts[index]!;
  if (total === 0) return null;
  const wanted = q * total;
  for (let index = 0, below = 0; index < bounds.length; index++) {
    const count = counts[index]!;
    if (count > 0 && below + count >= wanted) {
      const from = index === 0 ? 0 : bounds[index - 1]!;
      return from + (bounds[index]! - from) * Math.max(0, wanted - below) / count;
    }
    below += count;
  }
  return bounds.at(-1)!;
}
