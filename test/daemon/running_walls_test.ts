/** What `smtpctl show status` is told of the processes: by the kernel, and by themselves; what of it is missing, and how often it is looked. */

import assert from "node:assert/strict";
import { type OtherProcess, RunningWalls } from "../../src/daemon/running_walls.ts";
import type { KernelWalls, WallsRead } from "../../src/kernel/mod.ts";

const WALLS: KernelWalls = {
  user: { name: "smtpd", uid: 101, gid: 111 },
  ownNetwork: true,
  read: [],
  execute: [],
  write: [],
  tcp: "none",
  seccomp: { internet: false, unix: false, listen: false, exec: false },
};
const ROOT: WallsRead = {
  uid: 0,
  gid: 0,
  groups: [0, 4],
  noNewPrivileges: false,
  seccomp: false,
  seccompFilters: 0,
  ownNetwork: false,
  ownIpc: false,
  ownMounts: false,
  ownProc: false,
};
const FULL: WallsRead = {
  uid: 101,
  gid: 111,
  groups: [],
  noNewPrivileges: true,
  seccomp: true,
  seccompFilters: 1,
  ownNetwork: true,
  ownIpc: true,
  ownMounts: true,
  ownProc: true,
};
const PID = 7;

/** A parent and the process front, as the kernel has them. */
function systemOf(
  front: WallsRead | null,
  { landlock = true, parent = ROOT, walls = WALLS }: {
    landlock?: boolean | null;
    parent?: WallsRead;
    walls?: KernelWalls;
  } = {},
) {
  const host = { pid: front === null ? null : PID, landlock: () => Promise.resolve(landlock) };
  const others: OtherProcess[] = [{ name: "front", walls, host }];
  const time = { now: 0, reads: 0 };
  const running = new RunningWalls({
    own: { name: "parent", filtered: false },
    others,
    isolates: () => [
      { role: "smtp", grants: {} },
      { role: "smtp", grants: {} },
      { role: "queue", grants: { read: ["/spool"] } },
      { role: "file", grants: { read: true } },
    ],
    now: () => time.now,
    read: (pid) => {
      time.reads++;
      if (pid === Deno.pid) return parent;
      if (pid === PID && front !== null) return front;
      throw new Error("No such process");
    },
  });
  return { running, time };
}

const ALL = "a network of its own, IPC of its own, a /proc of its own, no new privileges, a filter of system calls";

Deno.test("a process with all its walls lacks none, and each has its own isolates", async () => {
  const [parent, front] = await systemOf(FULL).running.look();
  assert.deepEqual(parent, {
    process: "parent",
    pid: Deno.pid,
    stands: ["user root (uid 0, gid 0, groups 4)"],
    says: [],
    missing: [],
    isolates: ["file: read=any"],
  });
  assert.equal(front!.stands.join(", "), `user smtpd (uid 101, gid 111), ${ALL}`);
  assert.deepEqual([front!.says, front!.missing], [["files and TCP as Landlock allows"], []]);
  assert.deepEqual(front!.isolates, ["smtp (2): nothing"]);
});

const rows: readonly {
  readonly name: string;
  readonly front?: Partial<WallsRead>;
  readonly with?: NonNullable<Parameters<typeof systemOf>[1]>;
  readonly lacks: string;
}[] = [
  { name: "another user", front: { uid: 0 }, lacks: "the user smtpd" },
  { name: "another group", front: { gid: 0 }, lacks: "the user smtpd" },
  { name: "groups", front: { groups: [27] }, lacks: "no other groups" },
  { name: "this machine's network", front: { ownNetwork: false }, lacks: "a network of its own" },
  { name: "this machine's IPC", front: { ownIpc: false }, lacks: "IPC of its own" },
  { name: "this machine's /proc", front: { ownProc: false }, lacks: "a /proc of its own" },
  { name: "new privileges", front: { noNewPrivileges: false }, lacks: "no new privileges" },
  { name: "no filter", front: { seccomp: false, seccompFilters: 0 }, lacks: "a filter of system calls" },
  {
    name: "only the filter that its container has",
    with: { parent: { ...ROOT, seccomp: true, seccompFilters: 1 } },
    lacks: "a filter of system calls",
  },
  {
    name: "namespaces that cannot be read",
    front: { ownNetwork: null },
    lacks: "a network of its own, which cannot be read",
  },
  { name: "no Landlock", with: { landlock: false }, lacks: "files and TCP as Landlock allows" },
  {
    name: "no word about Landlock",
    with: { landlock: null },
    lacks: "files and TCP as Landlock allows, of which it says nothing",
  },
  {
    name: "this machine's network, as it should",
    front: { ownNetwork: false, ownIpc: false },
    with: { walls: { ...WALLS, ownNetwork: false } },
    lacks: "",
  },
];
for (const { name, front, with: options, lacks } of rows) {
  Deno.test(`a process with ${name} lacks ${lacks || "nothing"}`, async () => {
    const [, shown] = await systemOf({ ...FULL, ...front }, options).running.look();
    assert.equal(shown!.missing.join("; "), lacks);
  });
}

Deno.test("a process that does not run has no walls and lacks none", async () => {
  const [, front] = await systemOf(null).running.look();
  assert.deepEqual([front!.pid, front!.stands, front!.says, front!.missing], [null, [], [], []]);
});

Deno.test("whoever asks all the time has it looked once in half a second, and anew after that", async () => {
  const { running, time } = systemOf(FULL);
  await running.look();
  const each = time.reads;
  await Promise.all(Array.from({ length: 100 }, () => running.look()));
  assert.equal(time.reads, each);
  time.now += 500;
  await running.look();
  assert.equal(time.reads, 2 * each);
});

Deno.test("the one process lacks a filter where it was to put one up and has only what was there before", async () => {
  for (const [filtersAfter, lacks] of [[1, ["a filter of system calls"]], [2, []]] as const) {
    let filters = 1;
    const running = new RunningWalls({
      own: { name: "smtpd", filtered: true },
      others: [],
      isolates: () => [{ role: "smtp", grants: {} }],
      now: () => 0,
      read: () => ({ ...ROOT, seccomp: true, seccompFilters: filters }),
    });
    filters = filtersAfter;
    const [own] = await running.look();
    assert.deepEqual([own!.missing, own!.isolates], [lacks, ["smtp: nothing"]]);
  }
});
