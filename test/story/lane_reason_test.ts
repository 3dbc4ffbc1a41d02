/** The sentence of a lane, and spans of time in words. */

import assert from "node:assert/strict";
import { describeLane, laneReason, spanOf } from "../../src/story/mod.ts";

const LANE = {
  agent: "mta",
  action: "out",
  name: "example.org",
  envelopes: 7,
  inflight: 2,
  jobs: 2,
  maxJobs: 20,
  limit: "open",
} as const;
const NOW = 1_000_000;

const SENTENCES: readonly [string, Parameters<typeof describeLane>[0], Parameters<typeof describeLane>[1]][] = [
  ["2 under way, 5 wait for the next attempt.", LANE, null],
  ["1 waits for the next attempt.", { ...LANE, envelopes: 1, inflight: 0 }, null],
  ["7 under way.", { ...LANE, inflight: 7 }, null],
  ["Relaying is paused: smtpctl resume mta ends that.", { ...LANE, limit: "paused" }, null],
  ["Local deliveries are paused: smtpctl resume mda ends that.", { ...LANE, agent: "mda", limit: "paused" }, null],
  [
    "The user has as many deliveries under way as may run at once: 20 of 20.",
    { ...LANE, agent: "mda", limit: "jobs", jobs: 20 },
    null,
  ],
  [
    "The destination was at its limit of 20 deliveries and gets more when fewer of the 12 run.",
    { ...LANE, limit: "low-water", jobs: 12 },
    null,
  ],
  [
    "The destination has as many recipients under way as one may have: 2.",
    { ...LANE, limit: "envelopes" },
    null,
  ],
  [
    "As many recipients are under way to all destinations and users as may be.",
    { ...LANE, limit: "room" },
    null,
  ],
  [
    "Relay waits for the DNS to tell the mail exchangers.",
    LANE,
    { connections: 0, retryAt: null, waitsForMx: true },
  ],
  [
    "Relay connects to example.org again in 2 minutes 5 seconds, after errors.",
    LANE,
    { connections: 0, retryAt: NOW + 125_000, waitsForMx: false },
  ],
];

Deno.test("a lane says in a sentence what it waits for", () => {
  for (const [sentence, lane, relay] of SENTENCES) assert.equal(describeLane(lane, relay, NOW), sentence);
  assert.equal(laneReason(LANE, null, NOW), null);
});

Deno.test("spans of time are told in one unit, or in two while they are small", () => {
  const spans: readonly [number, string][] = [
    [0, "0 seconds"],
    [1_400, "1 second"],
    [45_000, "45 seconds"],
    [61_000, "1 minute 1 second"],
    [1_201_000, "20 minutes"],
    [3_600_000, "1 hour"],
    [11_400_000, "3 hours 10 minutes"],
    [39_000_000, "11 hours"],
    [100_000_000, "1 day 4 hours"],
    [1_036_800_000, "12 days"],
    [-5, "0 seconds"],
  ];
  for (const [ms, words] of spans) assert.equal(spanOf(ms), words);
});
