/** The last day for the page and `GET /api/v1/series`: when it is counted, and what it is as JSON. */

import { deepEqual, equal } from "node:assert/strict";
import { DaySeries } from "../../src/control/day_series.ts";
import { AGE_LABELS, type Event, HISTOGRAMS } from "../../src/events/mod.ts";
import { FakeClock } from "../fake_clock.ts";
import { msgid } from "../ids.ts";

const message: Event = {
  type: "smtp-message",
  session: "s",
  message: msgid("00000001"),
  bytes: 1,
  rcpts: 1,
  proto: "SMTP",
};
const AGES = HISTOGRAMS["queue.age"].bounds.map(() => 1).concat(2);

interface Item {
  readonly at: string;
  readonly accepted: number;
  readonly queue: number[] | null;
}

function seriesOf(ages: () => Promise<readonly number[] | null>) {
  const clock = new FakeClock(1_700_000_000_000), series = new DaySeries(clock, ages);
  const items = (query = {}) => series.record(query)["items"] as unknown as Item[];
  return { clock, series, items };
}
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("DaySeries counts nothing until an admin listener is configured, and nothing is asked of the scheduler", () => {
  let asked = 0;
  const { clock, series, items } = seriesOf(() => Promise.resolve((asked++, AGES)));
  series.observe(message);
  clock.advance(600_000);
  deepEqual([items(), asked], [[], 0]);
});

Deno.test("DaySeries looks at the queue at once and then each minute, and goes on through a reload", async () => {
  let asked = 0;
  const { clock, series, items } = seriesOf(() => Promise.resolve((asked++, AGES)));
  series.configure({ on: true });
  await settled();
  series.observe(message);
  clock.advance(120_000);
  await settled();
  equal(asked, 3);
  // A reload that keeps an admin listener.
  series.configure({ on: true });
  await settled();
  equal(asked, 3);
  equal(items().reduce((sum, { accepted }) => sum + accepted, 0), 1);
  deepEqual(items().at(-1)!.queue, AGES);
  series.configure({ on: false });
  clock.advance(600_000);
  deepEqual([items(), asked], [[], 3]);
});

Deno.test("DaySeries has no queue by age while the scheduler does not answer", async () => {
  const { series, items } = seriesOf(() => Promise.reject(new Error("gone")));
  series.configure({ on: true });
  await settled();
  equal(items().at(-1)!.queue, null);
  series.close();
});

Deno.test("record() has buckets from the oldest, of a length that fits, whatever is asked for", () => {
  const { series } = seriesOf(() => Promise.resolve(null));
  series.configure({ on: true });
  const rows = [
    [{}, 600, 144],
    [{ hours: 24 }, 600, 144],
    [{ hours: 1 }, 60, 60],
    [{ hours: 1, minutes: 5 }, 300, 12],
    [{ hours: 1000, minutes: 1000 }, 3600, 24],
    [{ hours: NaN, minutes: 60 }, 3600, 24],
    [{ hours: -1, minutes: 0 }, 60, 60],
  ] as const;
  for (const [query, seconds, count] of rows) {
    const { items, bucketSeconds, ages, next } = series.record(query);
    const list = items as unknown as Item[];
    deepEqual([bucketSeconds, list.length, next], [seconds, count, null], JSON.stringify(query));
    deepEqual(ages, AGE_LABELS);
    deepEqual(list.map(({ at }) => at), list.map(({ at }) => at).toSorted());
  }
  series.close();
});
