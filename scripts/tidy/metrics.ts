/** The list of statistics in smtpctl(8), which is written from the table in src/events/metrics.ts, and that of all metrics in docs/metrics.md. */

import { metricFamilies } from "../../src/admin/metric_names.ts";
import { type Metric, METRICS } from "../../src/events/metrics.ts";

const FIRST = '.\\" Written by scripts/tidy.ts --write from src/events/metrics.ts up to the next comment.\n';
const LAST = '.\\" End of the statistics.\n';

/** Takes the text of smtpctl(8) and returns it with the list between its two comments as the table has it. Throws when they are missing. */
export function withMetrics(page: string): string {
  const start = page.indexOf(FIRST), end = page.indexOf(LAST);
  if (start < 0 || end < start) throw new Error("smtpctl.8 has no place for the statistics");
  return page.slice(0, start + FIRST.length) + metricItems() + page.slice(end);
}

function metricItems(): string {
  const rows = (Object.entries(METRICS) as [string, Metric][]).map(([key, { kind, help }]) =>
    `.It Li ${key} Pq ${kind}\n${help}\n`
  );
  return `.Bl -tag -width Ds -compact\n${rows.join("")}.El\n`;
}

const FIRST_FAMILY = "<!-- Written by scripts/tidy.ts --write up to the next comment. -->\n";
const LAST_FAMILY = "<!-- End of the metrics. -->\n";

/** Takes the text of docs/metrics.md and returns it with the list between its two comments as the daemon serves it. Throws when they are missing. */
export function withMetricFamilies(page: string): string {
  const start = page.indexOf(FIRST_FAMILY), end = page.indexOf(LAST_FAMILY);
  if (start < 0 || end < start) throw new Error("docs/metrics.md has no place for the metrics");
  const items = metricFamilies().map(({ name, type, help, label }) =>
    `${name}${label === undefined ? "" : `{${label}}`} ${type}\n    ${help}\n`
  );
  const list = `\n\`\`\`text\n${items.join("")}\`\`\`\n\n`;
  return page.slice(0, start + FIRST_FAMILY.length) + list + page.slice(end);
}
