/** Limits of one client address: what counts as one, who is exempt, what is logged, and that memory is bounded. */

import assert from "node:assert/strict";
import { type SourceLimits, sourceOf, Sources } from "../../src/smtp/sources.ts";

function sources(changes: Partial<SourceLimits> = {}) {
  const clock = { now: 0 };
  const limits = { maxSessionsPerSource: 2, maxConnectionsPerMinute: 0, trusted: [], ...changes };
  return { clock, sources: new Sources(limits, () => clock.now) };
}

const names = [
  { address: "192.0.2.1", want: "192.0.2.1" },
  { address: "::ffff:192.0.2.1", want: "192.0.2.1" },
  { address: "2001:db8:0:1::5", want: "2001:db8:0:1::/64" },
  { address: "[2001:db8:0:1:ffff::6]", want: "2001:db8:0:1::/64" },
  { address: "fe80::1%eth0", want: "fe80:0:0:0::/64" },
];
for (const { address, want } of names) {
  Deno.test(`sourceOf() counts ${address} as ${want}`, () => assert.equal(sourceOf(address), want));
}

Deno.test("a source has its sessions and no more, until one ends; others are not affected", () => {
  const { sources: context } = sources();
  const first = context.enter("2001:db8::1");
  assert.ok(first.ok);
  assert.ok(context.enter("2001:db8::2").ok);
  assert.deepEqual(context.enter("[2001:db8::3]"), {
    ok: false,
    news: "2001:db8:0:0::/64 is turned away: it has 2 sessions",
  });
  assert.ok(context.enter("2001:db8:0:1::1").ok, "the next network is another source");
  context.left(first.source!);
  assert.ok(context.enter("2001:db8::3").ok);
});

Deno.test("a source that comes too often waits for the next minute", () => {
  const { sources: context, clock } = sources({ maxSessionsPerSource: 0, maxConnectionsPerMinute: 3 });
  const come = () => context.enter("192.0.2.1").ok;
  assert.deepEqual([come(), come(), come(), come()], [true, true, true, false]);
  clock.now = 59_999;
  assert.equal(come(), false);
  clock.now = 60_000;
  assert.equal(come(), true);
  clock.now = 10_000;
  assert.equal(come(), true, "a clock that was set back locks nobody out");
});

Deno.test("the log has one line a minute and source, with how many there were", () => {
  const { sources: context, clock } = sources({ maxSessionsPerSource: 1 });
  context.enter("192.0.2.1");
  const news = () => {
    const found = context.enter("192.0.2.1");
    return found.ok ? "welcome" : found.news;
  };
  assert.equal(news(), "192.0.2.1 is turned away: it has 1 sessions");
  assert.equal(news(), null);
  clock.now = 59_999;
  assert.equal(news(), null);
  clock.now = 60_000;
  assert.equal(news(), "192.0.2.1 is turned away: it has 1 sessions, and 2 times since the last line");
});

const exempt = [
  { address: "127.0.0.1", changes: {}, free: true, why: "this machine" },
  { address: "127.8.9.10", changes: {}, free: true, why: "this machine" },
  { address: "::1", changes: {}, free: true, why: "this machine" },
  { address: "192.0.2.7", changes: { trusted: ["192.0.2.0/24"] }, free: true, why: "a trusted network" },
  { address: "::ffff:192.0.2.7", changes: { trusted: ["192.0.2.0/24"] }, free: true, why: "a trusted network" },
  { address: "192.0.2.7", changes: { trusted: ["192.0.2.0/24", "!192.0.2.7"] }, free: false, why: "taken out of it" },
  { address: "2001:db8:1::7", changes: { trusted: ["2001:DB8::/32"] }, free: true, why: "a trusted network" },
  { address: "198.51.100.1", changes: { trusted: ["192.0.2.0/24"] }, free: false, why: "a stranger" },
  { address: "198.51.100.1", changes: { maxSessionsPerSource: 0 }, free: true, why: "without limits" },
];
for (const { address, changes, free, why } of exempt) {
  Deno.test(`${address} is ${free ? "not limited" : "limited"}: ${why}`, () => {
    const { sources: context } = sources(changes);
    const welcome = Array.from({ length: 10 }, () => context.enter(address).ok);
    assert.equal(welcome.every((one) => one), free);
  });
}

Deno.test("idle sources are forgotten before memory grows, busy ones never", () => {
  const { sources: context } = sources({ maxSessionsPerSource: 1 });
  const busy = Array.from({ length: 50 }, (_, at) => context.enter(`198.51.100.${at}`));
  for (let at = 0; at < 40_000; at++) {
    const entered = context.enter(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`);
    if (entered.ok) context.left(entered.source!);
  }
  assert.ok(context.size <= 16_384 + busy.length, `${context.size} sources`);
  for (let at = 0; at < 50; at++) assert.equal(context.enter(`198.51.100.${at}`).ok, false);
});
