/** Every message of every door passes its check (samples.ts has an example of each), and what is wrong in one place is refused with the place named. */

import assert from "node:assert/strict";
import {
  type Check,
  compileTable,
  flag,
  nullOr,
  optional,
  passing,
  record,
  text as textOf,
  whole,
} from "../../src/protocol/check.ts";
import { EVENTS, REPORTERS } from "../../src/protocol/events.ts";
import type { ToSupervisor } from "../../src/protocol/mod.ts";
import { DOOR_NAMES, DOORS } from "../../src/protocol/doors.ts";
import { unpacked } from "../../src/protocol/event_details.ts";
import { attributed } from "../../src/protocol/events.ts";
import { MESSAGE_DETAIL } from "./event_details.ts";
import { TO_SUPERVISOR } from "../../src/protocol/lifecycle.ts";
import { isMessageId } from "../../src/envelope/mod.ts";
import type { Event } from "../../src/events/mod.ts";
import { SAMPLES, type Samples, SESSION } from "./samples.ts";

const LIFECYCLE: Samples<ToSupervisor> = {
  ready: [{}],
  failed: [{ reason: "r" }],
  pong: [{ count: 1 }],
  stopped: [{}],
  reloaded: [{ call: 1, fault: null }, { call: 1, fault: "f" }],
  refused: [{ door: "smtp-queue", peer: 0, life: 1, fault: "f" }],
};

const WRONG: readonly unknown[] = [
  undefined,
  null,
  Number.NaN,
  -1,
  0.5,
  "\n",
  [],
  {},
  new Map(),
  1n,
  [null],
  "x".repeat(5_000_000),
];

/** Every field of a sample, and what becomes of the sample with each wrong value in its place. */
function tryAll(check: Check<unknown>, sample: Record<string, unknown>, what: string): void {
  assert.equal(check(structuredClone(sample)), null, what);
  for (const name of Object.keys(sample)) {
    if (name === "type") continue;
    const refused = WRONG.filter((wrong) => check({ ...sample, [name]: wrong }) !== null);
    // A symbol of the worst: no field takes more than a few of them.
    assert.ok(refused.length >= WRONG.length - 5, `${what}.${name} is believed too much`);
    const fault = check({ ...sample, [name]: new Map() });
    assert.ok(fault?.startsWith(name), `${what}: ${fault}`);
  }
}

for (const door of DOOR_NAMES) {
  for (const side of ["asks", "answers"] as const) {
    const samples = Object.entries(SAMPLES[door][side] as Record<string, readonly object[]>);
    if (samples.length === 0) continue;
    Deno.test(`what passes the door ${door} (${side}): ${samples.map(([type]) => type).join(", ")}`, () => {
      const checks = compileTable(DOORS[door][side]);
      assert.deepEqual(samples.map(([type]) => type).sort(), [...checks.keys()].sort());
      for (const [type, list] of samples) {
        for (const sample of list) tryAll(checks.get(type)!, { type, ...sample }, `${door} ${type}`);
      }
    });
  }
}

Deno.test("what main takes, and from whom", () => {
  const checks = compileTable(TO_SUPERVISOR);
  for (const [type, list] of Object.entries(LIFECYCLE)) {
    for (const sample of list) tryAll(checks.get(type)!, { type, ...sample }, `main ${type}`);
  }
  assert.deepEqual(DOOR_NAMES.filter((name) => name.endsWith("-main")).sort(), [
    "acme-main",
    "control-main",
    "delivery-main",
    "filter-main",
    "forward-main",
    "lookup-main",
    "privileged-main",
    "smtp-main",
  ]);
});

Deno.test("a door of events stands for every role but control, which keeps the log itself", () => {
  assert.deepEqual(
    REPORTERS.map((role) => `${role}-control`).sort(),
    DOOR_NAMES.filter((name) => name.endsWith("-control")).sort(),
  );
  assert.ok("delivery" in EVENTS.relay && !("delivery" in EVENTS.smtp));
});

Deno.test("an id is exactly so many lower-case digits", () => {
  const check = passing(isMessageId, "an id");
  for (const good of ["00000001", "0a9f0000", "ffffffff"]) assert.equal(check(good), null);
  for (
    const bad of [
      "0a0b0c0",
      "0a0b0c0d0",
      "0A0b0c0d",
      "0g0b0c0d",
      "0a0b0c0/",
      "0a0b0c0:",
      "0a0b0c0`",
      "0a0b0c0d\n",
      "00000000",
    ]
  ) {
    assert.equal(check(bad), `is text of ${bad.length} characters, not an id`);
  }
  assert.equal(check(12345678), "is the number 12345678, not an id");
  assert.equal(check(["0a0b0c0d"]), "is a list, not an id");
});

Deno.test("record() takes names of any spelling, and is the same at every use", () => {
  const check = record<{ "a-b": number; 'c"]': number }>({ "a-b": whole(), 'c"]': whole({ least: 1 }) });
  for (let use = 0; use < 2; use++) {
    assert.equal(check({ "a-b": 0, 'c"]': 1 }), null);
    assert.equal(check({ 'c"]': 1 }), "a-b is missing, not a whole number from 0 to 9007199254740991");
    assert.equal(check({ "a-b": 0, 'c"]': 0 }), 'c"] is the number 0, not a whole number from 1 to 9007199254740991');
    assert.equal(check(Object.create({ "a-b": 0 })), "is an object, not an object");
  }
});

Deno.test("record() judges an object by itself, whatever names and order those before it had", () => {
  const check = record<{ a: number; b?: string; c: boolean | null }>({
    a: whole({ least: 0, most: 9 }),
    b: optional(textOf(2)),
    c: nullOr(flag),
  });
  const rows: readonly [value: Record<string, unknown>, fault: string | null][] = [
    [{ a: 1, c: true }, null],
    [{ c: null, a: 1 }, null],
    [{ a: 1, b: "x", c: true }, null],
    [{ a: 1, b: "xyz", c: true }, "b has 3 characters, more than 2"],
    [{ a: 1, b: undefined, c: false }, null],
    [{ a: 1, b: null, c: false }, "b is null, not text"],
    [{ a: 1, more: 1, c: true }, null],
    [{ a: 1, more: 1 }, "c is missing, not a boolean"],
    [{ c: true, b: "x" }, "a is missing, not a whole number from 0 to 9"],
    [{ a: 10, c: true }, "a is the number 10, not a whole number from 0 to 9"],
    [{}, "a is missing, not a whole number from 0 to 9"],
    [{ a: 1, c: true, d: 1, e: 2, f: 3 }, null],
    [{ a: undefined, c: true }, "a is missing, not a whole number from 0 to 9"],
  ];
  for (const [first] of rows) {
    for (const [value, fault] of rows) {
      check(first);
      assert.equal(check(value), fault);
      assert.equal(check(value), fault);
    }
  }
});

Deno.test("octets are measured and not walked through; a buffer that is shared is refused", () => {
  const { chunk } = DOORS["smtp-queue"].asks;
  assert.equal(chunk.bytes(new Uint8Array(262_144)), null);
  assert.equal(chunk.bytes(new Uint8Array(262_145)), "has 262145 octets, more than 262144");
  assert.match(chunk.bytes(new Uint8Array(new SharedArrayBuffer(4)))!, /shared/);
  assert.match(chunk.bytes(new Uint8Array(new ArrayBuffer(65 * 1024 * 1024), 0, 1))!, /too large/);
  assert.match(chunk.bytes(new DataView(new ArrayBuffer(1)))!, /not octets/);
  assert.equal(whole({ least: 1, most: 2 })(3), "is the number 3, not a whole number from 1 to 2");
});

const LINES: readonly [role: Parameters<typeof attributed>[0], given: string, said: string][] = [
  ["smtp", "smtp: 192.0.2.1 is turned away", "smtp: 192.0.2.1 is turned away"],
  ["smtp", "queue: the disk is full", "smtp: queue: the disk is full"],
  ["smtp", `${SESSION} mda delivery result=Ok`, `smtp: ${SESSION} mda delivery result=Ok`],
  ["smtp", "Exiting", "smtp: Exiting"],
  ["relay", `${SESSION} mta host-rejects-all-mails`, `${SESSION} mta host-rejects-all-mails`],
  ["relay", `${SESSION} smtp connected`, `relay: ${SESSION} smtp connected`],
  ["relay", "smtp-out: Enabling route", "smtp-out: Enabling route"],
  ["lookup", 'info: Table "t" successfully updated', 'info: Table "t" successfully updated'],
  ["lookup", "isolate queue ended", "lookup: isolate queue ended"],
  ["filter", "spam: a line of its program", "spam: a line of its program"],
];
for (const [role, given, said] of LINES) {
  Deno.test(`attributed(): ${role} says "${given}"`, () => {
    const event: Event = { type: "log", level: "info", text: given };
    assert.equal((attributed(role, event) as { text: string }).text, said);
  });
}

Deno.test("the detail of an event travels as text, and is looked at behind the door", () => {
  const { asks } = SAMPLES["smtp-control"];
  for (const [type, samples] of Object.entries(asks)) {
    for (const sample of samples) assert.equal(typeof unpacked({ type, ...sample } as Event), "object", type);
  }
  const refused = (detail: unknown, type = "smtp-message") => unpacked({ type, detail } as unknown as Event);
  assert.equal(refused("{"), "smtp-message: detail is no JSON");
  assert.equal(refused("null"), "smtp-message: detail is null, not an object");
  assert.equal(
    refused(JSON.stringify({ ...MESSAGE_DETAIL, more: -1 })),
    "smtp-message: detail.more is the number -1, not a whole number from 0 to 9007199254740991",
  );
  assert.equal(
    refused(JSON.stringify({ ...MESSAGE_DETAIL, envelopes: [{ ...MESSAGE_DETAIL.envelopes[0], id: "x" }] })),
    "smtp-message: detail.envelopes[0].id is text of 1 characters, not an id of an envelope",
  );
  const many = { ...MESSAGE_DETAIL, filters: Array(65).fill(MESSAGE_DETAIL.filters[0]) };
  assert.equal(refused(JSON.stringify(many)), "smtp-message: detail.filters has 65 entries, more than 64");
  assert.equal(refused("[]", "delivery"), "delivery: detail is a list, not an object");
});
