/** The list of statistics in smtpctl(8), which is written from the table in src/events/metrics.ts. */

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
