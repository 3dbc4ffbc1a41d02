/** Statistics as `smtpctl show stats` and `monitor` show them. */

import { deepEqual, equal } from "node:assert/strict";
import { type CounterKey, type Event, formatStats, METRICS, Stats } from "../../src/events/mod.ts";
import type { ReplyClass } from "../../src/reply_class/mod.ts";
import { evpid, msgid } from "../ids.ts";

const connected = (family: "inet4" | "inet6" | "local", smtps = false): Event => ({
  type: "smtp-connected",
  session: "s",
  address: "a",
  host: "h",
  family,
  smtps,
});
const disconnected = (tls = false, smtps = false): Event => ({
  type: "smtp-disconnected",
  session: "s",
  reason: "quit",
  tls,
  smtps,
  local: false,
});

function statsOf(...events: Event[]): Stats {
  const stats = new Stats();
  for (const event of events) stats.observe(event);
  return stats;
}

Deno.test("Stats counts sessions by family for ever, and open ones up and down", () => {
  const stats = statsOf(connected("inet4"), connected("inet6", true), connected("local"), disconnected(false, true));
  deepEqual(formatStats(stats, 3725.9), [
    "smtp.session=2",
    "smtp.session.inet4=1",
    "smtp.session.inet6=1",
    "smtp.session.local=1",
    "smtp.smtps=0",
    "uptime=3725",
    "uptime.human=1h2m5s",
  ]);
});

Deno.test("Stats: a key appears once it was touched, and keeps its place at zero", () => {
  const stats = statsOf({ type: "count", key: "scheduler.envelope.incoming", by: 2 }, {
    type: "gauge",
    key: "scheduler.envelope",
    to: 0,
  });
  deepEqual(stats.entries(), [
    { key: "scheduler.envelope", value: 0, kind: "gauge" },
    { key: "scheduler.envelope.incoming", value: 2, kind: "counter" },
  ]);
});

Deno.test("Stats: TLS sessions go down with the session", () => {
  const stats = statsOf(connected("inet4"), { type: "smtp-tls", session: "s", ciphers: "c" });
  equal(stats.get("smtp.tls"), 1);
  stats.observe(disconnected(true));
  equal(stats.get("smtp.tls"), 0);
});

Deno.test("Stats: sessions of an smtp isolate that died are no longer open; those of others are", () => {
  const stats = new Stats();
  stats.observe(connected("inet4"), 0);
  stats.observe(connected("inet4"), 1);
  stats.observe(connected("inet4"), 1);
  stats.forgetSessions(1);
  equal(stats.get("smtp.session"), 1);
  equal(stats.sample().disconnects, 2);
});

Deno.test("Stats: deliveries, expiry and removal are counted from their events only, all else as it is reported", () => {
  const base = {
    session: "s",
    envelope: evpid("0000000100000001"),
    from: null,
    to: { local: "l", domain: "d" },
    rcpt: { local: "l", domain: "d" },
    delayMs: 0,
    stat: "",
  };
  const stats = statsOf(
    { ...base, type: "delivery", agent: "mda", outcome: "ok" },
    { ...base, type: "delivery", agent: "mta", outcome: "tempfail" },
    { ...base, type: "delivery", agent: "mta", outcome: "permfail" },
    { ...base, type: "delivery", agent: "mta", outcome: "loop" },
    { ...base, type: "queue-expire", agent: "mta" },
    { ...base, type: "queue-remove", agent: "mta" },
    { type: "count", key: "scheduler.envelope.removed", by: 5 },
    { type: "count", key: "queue.bounce", by: 1 },
  );
  deepEqual(stats.sample(), {
    sessions: 0,
    connects: 0,
    disconnects: 0,
    envelopes: 0,
    enqueued: 0,
    ok: 1,
    tempfail: 1,
    permfail: 1,
    loop: 1,
    expired: 1,
    removed: 1,
    bounces: 1,
  });
});

Deno.test("Stats: a broken isolate can neither fill the memory with keys nor bring in numbers that are none", () => {
  const stats = new Stats();
  for (let i = 0; i < 10_000; i++) stats.observe({ type: "count", key: `made.up-${i}` as CounterKey, by: 1 });
  equal(stats.entries().length, 0);
  const fresh = statsOf(
    { type: "count", key: "Bad Key" as CounterKey, by: 1 },
    { type: "count", key: "queue.bounce", by: NaN },
    { type: "gauge", key: "mda.user", to: "1" as unknown as number },
    { ...connected("inet4"), type: "unheard-of" } as unknown as Event,
  );
  deepEqual(fresh.entries(), []);
});

Deno.test("METRICS is sorted, says of each what it counts, and names who reports it or none", () => {
  const keys = Object.keys(METRICS);
  deepEqual(keys, [...keys].sort());
  for (const [key, { help }] of Object.entries(METRICS)) equal(/^[A-Z][^.]*\.$/.test(help), true, key);
});

Deno.test("Stats: a gauge that is reported as a counter, and one that control keeps itself, are not taken from an isolate", () => {
  const stats = statsOf(
    { type: "count", key: "mda.user" as CounterKey, by: 1 },
    { type: "gauge", key: "smtp.session", to: 9 },
    { type: "count", key: "scheduler.delivery.ok", by: 1 },
  );
  deepEqual(stats.entries(), []);
});

Deno.test("Stats: messages and notices that were signed, were not, and were put off are counted", () => {
  const message = msgid("00000001"), session = "0000000000000001";
  const stats = statsOf(
    { type: "smtp-signed", session, message, domain: "d", selectors: ["s"] },
    { type: "queue-signed", message, domain: "d", selectors: ["s"] },
    { type: "smtp-unsigned", session, message, deferred: false, reason: "r" },
    { type: "queue-unsigned", message, deferred: true, reason: "r" },
  );
  deepEqual(stats.entries().map(({ key, value }) => `${key}=${value}`), [
    "dkim.deferred=1",
    "dkim.signed=2",
    "dkim.unsigned=1",
  ]);
});

Deno.test("Stats: each message that was checked is counted, accepted or refused, by the result of each method", () => {
  const mailAuth = { spf: "pass", dkim: "fail", arc: "none", dmarc: "fail", policy: "reject" } as const;
  const stats = statsOf(
    { type: "smtp-message", session: "s", message: msgid("7b23f1c8"), bytes: 1, rcpts: 1, proto: "SMTP", mailAuth },
    { type: "smtp-failed-command", session: "s", command: "DATA", reply: "550 No", address: "a", mailAuth },
    { type: "smtp-failed-command", session: "s", command: "RCPT", reply: "550 No", address: "a" },
  );
  deepEqual(stats.entries().map(({ key, value }) => `${key}=${value}`), [
    "smtp.arc.none=2",
    "smtp.dkim.fail=2",
    "smtp.dmarc.fail=2",
    "smtp.message=1",
    "smtp.refused=2",
    "smtp.spf.pass=2",
  ]);
});

Deno.test("Stats: attempts are counted by what became of them, failures by their class, whatever an isolate calls it", () => {
  const mailbox = { local: "a", domain: "example.org" };
  const attempt = (outcome: "ok" | "tempfail" | "permfail", agent: "mta" | "mda", replyClass?: ReplyClass): Event => ({
    ...{ type: "delivery", agent, outcome, delayMs: 2000, session: "s", envelope: evpid("00000001aaaaaaaa") },
    ...{ from: null, to: mailbox, rcpt: mailbox, stat: "450 Later" },
    ...replyClass === undefined ? {} : { replyClass },
  });
  const stats = statsOf(
    attempt("ok", "mta"),
    attempt("ok", "mda"),
    attempt("tempfail", "mta", "greylisted"),
    attempt("permfail", "mta", "made-up" as ReplyClass),
    attempt("permfail", "mda"),
  );
  deepEqual(stats.entries().map(({ key, value }) => `${key}=${value}`), [
    "delivery.failure.greylisted=1",
    "delivery.failure.unknown=2",
    "mda.delivered=1",
    "mta.relayed=1",
    "scheduler.delivery.ok=2",
    "scheduler.delivery.permfail=2",
    "scheduler.delivery.tempfail=1",
  ]);
  deepEqual(stats.histogram("delivery.delay").sum, 4);
});
