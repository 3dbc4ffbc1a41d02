/** The last day for plots: what falls into which minute, what is left of a day, and that the memory is fixed. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { AGE_LABELS, type Event, HISTOGRAMS, Series } from "../../src/events/mod.ts";
import { evpid, msgid } from "../ids.ts";

const MINUTE = 60_000, START = 28_000_000 * MINUTE;
const MAILBOX = { local: "a", domain: "example.org" };
const NO_AGES = new Array(HISTOGRAMS["queue.age"].bounds.length + 1).fill(0);

function delivery(outcome: "ok" | "tempfail" | "permfail", agent: "mta" | "mda" = "mta", delayMs = 1000): Event {
  return {
    ...{ type: "delivery", agent, outcome, delayMs, session: "s", envelope: evpid("00000001aaaaaaaa") },
    ...{ from: null, to: MAILBOX, rcpt: MAILBOX, stat: "250 Ok" },
  } as Event;
}
const message: Event = {
  type: "smtp-message",
  session: "s",
  message: msgid("00000001"),
  bytes: 1,
  rcpts: 1,
  proto: "SMTP",
};
const refusal: Event = {
  type: "smtp-failed-command",
  session: "s",
  command: "",
  reply: "550 No",
  address: "192.0.2.1",
};

Deno.test("Series counts what happens per minute", () => {
  const series = new Series(START);
  for (const event of [message, message, refusal, delivery("ok"), delivery("ok", "mda", 30_000)]) {
    series.observe(event, START);
  }
  for (const event of [delivery("tempfail"), delivery("permfail")]) series.observe(event, START + MINUTE);
  const two = series.buckets(START + MINUTE, { hours: 1 / 30, minutes: 1 });
  deepEqual(
    two.map(({ at, accepted, refused, relayed, delivered, deferred, failed }) => //
    [at, accepted, refused, relayed, delivered, deferred, failed]),
    [
      [START, 2, 1, 1, 1, 0, 0],
      [START + MINUTE, 0, 0, 0, 0, 1, 1],
    ],
  );
  equal(two[1]!.delayP50, null);
  // Half of two values: the one of 1 s, which fills its bucket of 0.5 to 1 s.
  equal(two[0]!.delayP50, 1);
  ok(two[0]!.delayP95! > 10 && two[0]!.delayP95! <= 30);
  const one = series.buckets(START + MINUTE, { hours: 1, minutes: 60 });
  equal(one.length, 1);
  equal(one[0]!.accepted + one[0]!.failed, START % (60 * MINUTE) === 59 * MINUTE ? 1 : 3);
});

Deno.test("Series keeps one day: what is older is gone, also after a pause of any length", () => {
  const series = new Series(START);
  series.observe(message, START);
  const sum = (now: number) => series.buckets(now, {}).reduce((all, { accepted }) => all + accepted, 0);
  equal(sum(START + 1420 * MINUTE), 1);
  equal(sum(START + 1440 * MINUTE), 0);
  series.observe(message, START + 1500 * MINUTE);
  equal(sum(START + 1500 * MINUTE), 1);
  equal(sum(START + 100_000 * MINUTE), 0);
});

Deno.test("Series: a clock that goes back loses nothing", () => {
  const series = new Series(START);
  series.observe(message, START);
  series.observe(message, START - 10 * MINUTE);
  equal(series.buckets(START, {}).at(-1)!.accepted, 2);
});

Deno.test("Series has the queue by age as it was last looked at, and null where it was not", () => {
  const series = new Series(START);
  equal(AGE_LABELS.length, NO_AGES.length);
  series.aged([1], START);
  equal(series.buckets(START, { hours: 1 / 60, minutes: 1 })[0]!.queue, null);
  series.aged([5, ...NO_AGES.slice(1)], START);
  series.aged([7, ...NO_AGES.slice(1)], START + MINUTE / 2);
  deepEqual(series.buckets(START, { hours: 1 / 60, minutes: 1 })[0]!.queue, [7, ...NO_AGES.slice(1)]);
});

Deno.test("Series: a day has 144 buckets of ten minutes, which begin at multiples of them, and its memory is fixed", () => {
  const series = new Series(START), { bytes } = series;
  for (let minute = 0; minute < 3000; minute++) series.observe(delivery("ok"), START + minute * MINUTE);
  const buckets = series.buckets(START + 2999 * MINUTE, { hours: 24, minutes: 10 });
  equal(buckets.length, 144);
  ok(buckets.every(({ at }) => at % (10 * MINUTE) === 0));
  ok(buckets.slice(0, -1).every(({ relayed }) => relayed === 10));
  equal(series.bytes, bytes);
  ok(bytes < 256 * 1024);
});
