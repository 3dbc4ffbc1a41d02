/** Lines of JSON and fields of journald: programs read them, under names that stay. */

import assert from "node:assert/strict";
import { formatEvent } from "../../src/events/mod.ts";
import { EVENT_FIELDS, formatJsonLine, journalFields, type LogEntry } from "../../src/events/mod.ts";
import { evpid } from "../ids.ts";

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const entry = (event: LogEntry["event"], isolate = "relay"): LogEntry => ({
  level: "info",
  text: "t",
  at,
  isolate,
  event,
});

const DELIVERY = entry({
  type: "delivery",
  agent: "mta",
  session: "00112233aabbccdd",
  envelope: evpid("7b23f1c8a1b2c3d4"),
  from: null,
  to: { local: "bob", domain: "example.net" },
  rcpt: { local: "bob", domain: "example.net" },
  delayMs: 1500,
  outcome: "ok",
  stat: "250 \x9b2J\u2028ok\n\x1b[2J",
  relay: "192.0.2.1",
  accepted: { isolate: 1, life: 1, number: 2 },
});

Deno.test("a line of JSON has the fields of the event with their types, and acts on no terminal", () => {
  const line = formatJsonLine(DELIVERY);
  assert.match(line, /^[ -~]*$/);
  assert.deepEqual(JSON.parse(line), {
    time: "2026-01-02T03:04:05.678Z",
    level: "info",
    event: "delivery",
    isolate: "relay",
    agent: "mta",
    session: "00112233aabbccdd",
    envelope: "7b23f1c8a1b2c3d4",
    from: null,
    to: "bob@example.net",
    rcpt: "bob@example.net",
    delayMs: 1500,
    outcome: "ok",
    stat: "250 \x9b2J\u2028ok\n\x1b[2J",
    relay: "192.0.2.1",
  });
});

Deno.test("a delivery that failed says in JSON what the answer means; the line of text stays as it is", () => {
  const { event } = DELIVERY;
  const failed = {
    ...event,
    outcome: "tempfail",
    stat: "450 4.2.0 Greylisted",
    replyClass: "greylisted",
  } as typeof event;
  assert.equal(JSON.parse(formatJsonLine(entry(failed))).replyClass, "greylisted");
  assert.match(formatEvent(failed)!, / result="TempFail" stat="450 4\.2\.0 Greylisted"$/);
});

Deno.test("the level stands once; results of mail-auth are an object; long text is cut", () => {
  const text = JSON.parse(
    formatJsonLine({ ...entry({ type: "log", level: "warn", text: "warn: fire" }), level: "warn" }),
  );
  assert.deepEqual([text.level, text.event, text.text], ["warn", "log", "fire"]);
  const failed = JSON.parse(formatJsonLine(entry({
    type: "smtp-failed-command",
    session: "s",
    command: "x".repeat(100_000),
    reply: "550",
    address: "192.0.2.7",
    mailAuth: { spf: "pass", dkim: "none", arc: "none", dmarc: "fail", policy: "reject" },
  })));
  assert.equal(failed.command.length, 4096);
  assert.equal(failed.mailAuth.policy, "reject");
});

Deno.test("fields of journald are those of JSON, in capitals; what is not there is left out", () => {
  const fields = journalFields(DELIVERY);
  assert.deepEqual(fields.slice(0, 2), [["VAULTPOST_EVENT", "delivery"], ["VAULTPOST_ISOLATE", "relay"]]);
  assert.ok(fields.some(([name, value]) => name === "VAULTPOST_DELAY_MS" && value === "1500"));
  assert.ok(!fields.some(([name]) => name === "VAULTPOST_FROM"));
});

Deno.test("docs/logs.md lists the fields of every event", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/logs.md", import.meta.url));
  const rows = [...text.matchAll(/^\| `([\w-]+)` +\| (.*?) *\|$/gm)].map(([, event, fields]) =>
    [event!, [...fields!.matchAll(/`(\w+)`/g)].map(([, name]) => name!)] as const
  );
  const documented = Object.fromEntries(rows.filter(([event]) => Object.hasOwn(EVENT_FIELDS, event)));
  assert.deepEqual(documented, EVENT_FIELDS);
});
