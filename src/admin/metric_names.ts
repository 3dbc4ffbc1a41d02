/**
 * The names under which `/metrics` serves statistics: derived from the tables of statistics and distributions, so that the list is the same in the daemon,
 * in docs/metrics.md and in the examples for Grafana and Prometheus. A name stays as it is: others' alerts depend on it. Pure.
 */

import {
  FAILURE_PREFIX,
  type HistogramKey,
  type HistogramMetric,
  HISTOGRAMS,
  type Metric,
  type MetricKey,
  METRICS,
} from "../events/mod.ts";

/** One metric of `/metrics`. */
export interface MetricFamily {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** The label that its samples differ by, of few values; absent where there is one sample. */
  readonly label?: string;
  /** Where its values come from. */
  readonly of:
    | { readonly statistics: readonly { readonly key: MetricKey; readonly value: string }[] }
    | { readonly histogram: HistogramKey }
    | { readonly measured: Measured };
}

/** What is looked at for each request: the machine, and what other isolates know. */
const MEASURED = {
  certificateExpiry: [
    "vaultpost_certificate_expiry_timestamp_seconds",
    "When the first of the certificates in use ends, in seconds since the epoch; none without certificates.",
  ],
  diskFree: ["vaultpost_queue_disk_free_bytes", "Room that is left on the disk of the spool."],
  diskSize: ["vaultpost_queue_disk_size_bytes", "Size of the disk of the spool."],
  queueOldest: ["vaultpost_queue_oldest_seconds", "Age of the oldest envelope in the queue; 0 for an empty queue."],
  uptime: ["vaultpost_uptime_seconds", "Time since the start."],
  version: ["vaultpost_info", "Version of the daemon; always 1."],
} as const satisfies Readonly<Record<string, readonly [name: string, help: string]>>;
export type Measured = keyof typeof MEASURED;

/** All metrics of `/metrics`, by name. Each is there from the start: a counter that nothing has touched is 0. */
export function metricFamilies(): readonly MetricFamily[] {
  const failures: { key: MetricKey; value: string }[] = [];
  const families: MetricFamily[] = [];
  for (const [key, { kind, help }] of Object.entries(METRICS) as [MetricKey, Metric][]) {
    if (key.startsWith(FAILURE_PREFIX)) {
      failures.push({ key, value: key.slice(FAILURE_PREFIX.length) });
      continue;
    }
    const name = nameOf(key);
    const of = { statistics: [{ key, value: "" }] };
    families.push({ name: kind === "gauge" ? name : `${name}_total`, type: kind, help, of });
  }
  families.push({
    name: "vaultpost_delivery_failures_total",
    type: "counter",
    help: "Attempts that failed, by the class of the answer.",
    label: "class",
    of: { statistics: failures },
  });
  for (const [key, { help, snapshot = false }] of Object.entries(HISTOGRAMS) as [HistogramKey, HistogramMetric][]) {
    const words = snapshot ? `${help} What there is now: it has no rate.` : help;
    families.push({ name: `${nameOf(key)}_seconds`, type: "histogram", help: words, of: { histogram: key } });
  }
  for (const [measured, [name, help]] of Object.entries(MEASURED) as [Measured, readonly [string, string]][]) {
    const label = measured === "version" ? { label: "version" } : {};
    families.push({ name, type: "gauge", help, ...label, of: { measured } });
  }
  return families.toSorted((one, other) => one.name < other.name ? -1 : 1);
}

function nameOf(key: string): string {
  return `vaultpost_${key.replaceAll(/[^a-z0-9]/g, "_")}`;
}
