/** Statistics in Prometheus' text format, version 0.0.4. Which there are says src/events/exposition.ts. */

import { type Counts, HISTOGRAMS } from "../events/mod.ts";
import { type Measured, metricFamilies, type MetricFamily } from "./metric_names.ts";
import type { AdminSource } from "./source.ts";

const TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Returns the text and its content type. Every metric is there each time; one that cannot be measured now has no sample. */
export async function prometheusText(source: AdminSource): Promise<{ readonly text: string; readonly type: string }> {
  const measures = await source.measure();
  const values = new Map<string, number>(source.stats().map(({ key, value }) => [key, value]));
  const measured: Readonly<Record<Measured, number | null>> = {
    ...measures,
    uptime: Math.floor(source.uptimeSeconds()),
    version: 1,
  };
  const lines: string[] = [];
  for (const family of metricFamilies()) {
    lines.push(`# HELP ${family.name} ${family.help}`, `# TYPE ${family.name} ${family.type}`);
    lines.push(...samples(family, { values, measured, source, queueAges: measures.queueAges }));
  }
  return { text: `${lines.join("\n")}\n`, type: TYPE };
}

interface Values {
  readonly values: ReadonlyMap<string, number>;
  readonly measured: Readonly<Record<Measured, number | null>>;
  readonly queueAges: Counts | null;
  readonly source: AdminSource;
}

function samples({ name, type, label = "", of }: MetricFamily, all: Values): string[] {
  if ("statistics" in of) {
    return of.statistics.map(({ key, value }) => {
      const count = all.values.get(key) ?? 0;
      const labels = label === "" ? "" : `{${label}="${value}"}`;
      return `${name}${labels} ${type === "counter" ? Math.max(0, count) : count}`;
    });
  }
  if ("histogram" in of) {
    const counts = of.histogram === "queue.age" ? all.queueAges : all.source.histogram(of.histogram);
    return counts === null ? [] : buckets(name, HISTOGRAMS[of.histogram].bounds, counts);
  }
  const value = all.measured[of.measured];
  if (value === null) return [];
  return [`${name}${label === "" ? "" : `{${label}="${escaped(all.source.version)}"}`} ${value}`];
}

/** Cumulative, as Prometheus has them. */
function buckets(name: string, bounds: readonly number[], { counts, sum }: Counts): string[] {
  let below = 0;
  const lines = counts.map((count, index) => {
    below += count;
    return `${name}_bucket{le="${bounds[index] ?? "+Inf"}"} ${below}`;
  });
  return [...lines, `${name}_sum ${sum}`, `${name}_count ${below}`];
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
