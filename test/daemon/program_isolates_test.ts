/** Which filter isolate has which program: what a reload leaves as it was stays, the rest starts anew, and what sessions use is kept. */

import assert from "node:assert/strict";
import { isolatesOf, ProgramIsolates, runGrants } from "../../src/daemon/program_isolates.ts";
import type { FilterSettings, Settings } from "../../src/protocol/mod.ts";

const shared = { serverName: "mx.example.org", version: "1", timeZone: "UTC", root: false };

function programs(of: Readonly<Record<string, string>>, admd = "example.org"): FilterSettings {
  const filters = Object.entries(of).map(([process, program]) => ({
    ...{ process, name: process, program, args: [], identity: null },
    subsystems: ["smtp-in"] as const,
  }));
  return { shared, tables: [], filters, admd, identity: null, path: "/bin" };
}

const settings = (filter: FilterSettings) => ({ filter, smtp: {}, relay: {}, lookup: {} }) as unknown as Settings;

/** Programs with their isolates. */
function placesOf({ filters = [] }: FilterSettings): Record<string, string> {
  return Object.fromEntries(filters.map(({ process, program, isolate = 0 }) => [`${isolate} ${process}`, program]));
}

Deno.test("a program stays in its isolate, others start in one of their own, which sessions find by its index", () => {
  const isolates = new ProgramIsolates(programs({ a: "/a", b: "/b" }));
  const { settings: next, started } = isolates.assign(settings(programs({ a: "/a", b: "/other", c: "/c" })), 0);
  assert.equal(started, 1);
  assert.deepEqual(placesOf(next.filter), { "0 a": "/a", "1 b": "/other", "1 c": "/c" });
  assert.deepEqual(next.smtp.filterIsolates, { b: 1, c: 1 });
  assert.deepEqual(next.relay.filterIsolates, { b: 1, c: 1 });

  // Sessions of the first configuration still have both.
  isolates.use(1, next.filter);
  const union = isolates.union(next.filter);
  assert.deepEqual(placesOf(union), { "0 a": "/a", "0 b": "/b", "1 b": "/other", "1 c": "/c" });
  assert.deepEqual(runGrants(union), { run: ["/a", "/b", "/other", "/c"] });
  isolates.forget(0);
  assert.deepEqual(placesOf(isolates.union(next.filter)), { "0 a": "/a", "1 b": "/other", "1 c": "/c" });

  // Nothing else: no isolate is started, and one that was given up is not used again.
  assert.equal(isolates.assign(settings(programs({ a: "/a", b: "/other", c: "/c" })), 1).started, null);
  const last = isolates.assign(settings(programs({ d: "/d" })), 1);
  assert.deepEqual([last.started, [...isolatesOf(last.settings.filter)]], [2, [2]]);
});

Deno.test("what every program is told at its start has all of them started anew", () => {
  const isolates = new ProgramIsolates(programs({ a: "/a" }));
  const { started, settings: next } = isolates.assign(settings(programs({ a: "/a" }, "example.net")), 0);
  assert.equal(started, 1);
  assert.deepEqual(placesOf(next.filter), { "1 a": "/a" });
});
