/** Distributions: how values fall into buckets, what is read out of them, and how isolates report them. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { type Event, Histogram, HISTOGRAMS, quantile, Stats } from "../../src/events/mod.ts";
import { Tally } from "../../src/isolate/mod.ts";
import { FakeClock } from "../fake_clock.ts";

Deno.test("bounds rise, so that each value has one bucket", () => {
  for (const { bounds } of Object.values(HISTOGRAMS)) {
    const sorted = bounds.toSorted((a, b) => a - b);
    deepEqual(sorted, [...new Set(bounds)]);
  }
});

Deno.test("Histogram counts a value in the first bucket that is not below it", () => {
  const histogram = new Histogram("queue.age");
  for (const seconds of [0, 60, 60.1, 1_000_000]) histogram.observe(seconds);
  deepEqual([histogram.counts[0], histogram.counts[1], histogram.counts.at(-1)], [2, 1, 1]);
  equal(histogram.sum, 1_000_120.1);
  const taken = histogram.take();
  equal(histogram.sum, 0);
  histogram.add(taken);
  histogram.add(taken);
  equal(histogram.counts[0], 4);
});

Deno.test("Histogram leaves out what a broken isolate sends", () => {
  const histogram = new Histogram("queue.age"), length = histogram.counts.length;
  histogram.add({ counts: [1], sum: 1 });
  histogram.add({ counts: new Array(length).fill(-1), sum: 1 });
  histogram.add({ counts: new Array(length).fill(0.5), sum: 1 });
  histogram.add({ counts: new Array(length).fill(1), sum: NaN });
  deepEqual([histogram.sum, ...histogram.counts], new Array(length + 1).fill(0));
});

Deno.test("quantile() spreads the values of a bucket evenly", () => {
  const rows: [number[], number, number | null][] = [
    [[0, 0, 0], 0.5, null],
    [[10, 0, 0], 0.5, 0.5],
    [[10, 10, 0], 0.75, 1.5],
    [[0, 4, 0], 1, 2],
    // Behind the last bound nothing is known.
    [[0, 0, 9], 0.5, 2],
    [[90, 5, 5], 0.95, 2],
  ];
  for (const [counts, q, want] of rows) equal(quantile([1, 2], counts, q), want, `${counts} ${q}`);
});

Deno.test("Tally reports a distribution once a second at most, and Stats adds the reports up", () => {
  const clock = new FakeClock(), events: Event[] = [];
  const tally = new Tally((event) => events.push(event), clock);
  for (let i = 0; i < 1000; i++) tally.observe("smtp.reply", 0.002);
  clock.advance(900);
  equal(events.length, 0);
  clock.advance(200);
  equal(events.length, 1);
  tally.observe("smtp.reply", 100);
  tally.flush();
  clock.advance(5000);
  equal(events.length, 2);
  const stats = new Stats();
  for (const event of events) stats.observe(event);
  const { counts, sum } = stats.histogram("smtp.reply");
  deepEqual([counts[2], counts.at(-1)], [1000, 1]);
  ok(Math.abs(sum - 102) < 1e-6);
  // It is no statistic of `show stats`.
  deepEqual(stats.entries(), []);
});

Deno.test("Stats takes no distribution from an isolate that control counts itself", () => {
  const stats = new Stats();
  stats.observe({ type: "histogram", key: "delivery.delay", counts: new Array(17).fill(1), sum: 1 });
  stats.observe({ type: "histogram", key: "toString" as "smtp.reply", counts: [1], sum: 1 });
  equal(stats.histogram("delivery.delay").sum, 0);
});
