/** The line of `show queue`. */

import { equal } from "node:assert/strict";
import { formatListing } from "../../src/control/mod.ts";
import type { RunState } from "../../src/protocol/mod.ts";
import { envelope } from "./harness.ts";
import { evpid } from "../ids.ts";

const id = evpid("7b23f1c8a1b2c3d4");
const now = 1_700_000_100_000;
const plain = envelope(id);
const state = (state: RunState["state"], at: number): RunState => ({ id, state, at });
const head = `${id}|inet4|mta||alice@example.org|bob@example.net|bob@example.net|1700000000|1700345600`;

const rows = [
  { name: "due in a while", envelope: plain, state: state("pending", now + 90_500), line: `${head}|0|0|pending|91|` },
  { name: "overdue", envelope: plain, state: state("pending", now - 5000), line: `${head}|0|0|pending|0|` },
  { name: "being delivered", envelope: plain, state: state("inflight", now - 5900), line: `${head}|0|0|inflight|5|` },
  {
    name: "the daemon is down",
    envelope: { ...plain, tries: 2, lastTryAt: 1_700_000_050_000, errorLine: "421 4.3.2\r\nbusy|now" },
    state: null,
    line: `${head}|1700000050|2|offline||421 4.3.2\\r\\nbusy\\174now`,
  },
  {
    name: "held: pending with a flag",
    envelope: plain,
    state: state("held", now + 5),
    line: `${head.replace("|mta||", "|mta|hold|")}|0|0|pending|0|`,
  },
  {
    name: "all flags in their order",
    envelope: {
      ...plain,
      agent: "bounce" as const,
      sender: null,
      internal: true,
      suspended: true,
      origin: { ...plain.origin, address: "local", authenticated: true },
    },
    state: state("suspended", 0),
    line:
      `${id}|local|bounce|bounce,auth,internal,suspend|@|bob@example.net|bob@example.net|1700000000|1700345600|0|0|pending|0|`,
  },
  {
    name: "IPv6, and a bar in a local part does not shift the fields",
    envelope: { ...plain, origin: { ...plain.origin, address: "[2001:db8::1]" }, rcpt: { local: "a|b", domain: "x" } },
    state: state("unknown", 0),
    line: `${id}|inet6|mta||alice@example.org|a\\174b@x|bob@example.net|1700000000|1700345600|0|0|pending|0|`,
  },
];
for (const row of rows) {
  Deno.test(`formatListing(): ${row.name}`, () => {
    const line = formatListing(row.envelope, row.state, now);
    equal(line, row.line);
    equal(line.split("|").length, 14);
  });
}
