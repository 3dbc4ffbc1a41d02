/** Which wall stands around a daemon in one process, and what is said of it; that of the real kernel is in e2e/one_process_test.ts. */

import assert from "node:assert/strict";
import { describeOneProcess, oneProcessWall, putUpWall } from "../../src/daemon/one_process.ts";

const RELAY = { filter: { tables: [], filters: [] }, privileged: { actions: {} } };
const CASES = [
  ["only relays", RELAY, 0],
  ["has a table program", { ...RELAY, filter: { tables: [{}], filters: [] } }, 2],
  ["has a filter program", { ...RELAY, filter: { tables: [], filters: [{}] } }, 2],
  ["delivers locally", { ...RELAY, privileged: { actions: { inbox: {} } } }, 2],
] as const;
type Settings = Parameters<typeof oneProcessWall>[0];

for (const [what, settings, programs] of CASES) {
  Deno.test(`oneProcessWall(): a daemon that ${what}`, () => {
    const [root, other] = [0, 1000].map((uid) => oneProcessWall(settings as unknown as Settings, uid));
    if (programs === 0) {
      for (const wall of [root, other]) assert.equal(wall!.seccomp?.exec, false);
    } else {
      assert.equal(root!.seccomp?.exec, true);
      assert.equal(other!.seccomp, null);
    }
  });
}

const relaying = oneProcessWall(RELAY as unknown as Settings, 1000);
const delivering = oneProcessWall(CASES[3][1] as unknown as Settings, 0);
const shown = [
  [
    "all stands",
    relaying,
    { seccomp: true, namespaces: false },
    /^user: uid 1000; namespaces and network: this machine's; files: .*no programs, no processes, no signals to others$/,
  ],
  ["no seccomp", relaying, { seccomp: false, namespaces: true }, /\(does not stand: this kernel has no seccomp\)$/],
  [
    "a root without rights",
    delivering,
    { seccomp: true, namespaces: false },
    /\(does not stand: it takes CAP_SYS_ADMIN/,
  ],
  ["root", delivering, { seccomp: true, namespaces: true }, /^user: root; .*no tracing of processes$/],
] as const;
for (const [name, wall, support, want] of shown) {
  Deno.test(`describeOneProcess(): ${name}`, () => assert.match(describeOneProcess(wall, () => support), want));
}

Deno.test("describeOneProcess() and putUpWall() tell why a wall does not stand, and throw nothing", () => {
  const fail = () => {
    throw new Error("no C library");
  };
  assert.match(describeOneProcess(relaying, fail), /\(does not stand: no C library\)$/);
  assert.equal(putUpWall(relaying, fail), "no C library");
  assert.equal(putUpWall({ seccomp: null, programs: true }, fail), null);
});
