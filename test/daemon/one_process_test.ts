/** Which wall stands around a daemon in one process, and what is said of it; that of the real kernel is in e2e/one_process_test.ts. */

import assert from "node:assert/strict";
import { beyondWall, describeOneProcess, oneProcessWall, putUpWall } from "../../src/daemon/one_process.ts";
import { oneProcessFiles } from "../../src/daemon/one_process_files.ts";

const RELAY = { filter: { tables: [], filters: [] }, privileged: { actions: {} }, acme: { certificates: [] } };
const CASES = [
  ["only relays", RELAY, 0],
  ["has a table program", { ...RELAY, filter: { tables: [{}], filters: [] } }, 2],
  ["has a filter program", { ...RELAY, filter: { tables: [], filters: [{}] } }, 2],
  ["has a hook of ACME", { ...RELAY, acme: { certificates: [{ challenge: "dns-01" }] } }, 2],
  ["obtains certificates without one", { ...RELAY, acme: { certificates: [{ challenge: "http-01" }] } }, 0],
  ["delivers locally", { ...RELAY, privileged: { actions: { inbox: {} } } }, 2],
] as const;
const FILES = { read: ["/etc"], execute: [], write: ["/spool"], sockets: ["/run"], tcp: "any" } as const;
type Settings = Parameters<typeof oneProcessWall>[0];

for (const [what, settings, programs] of CASES) {
  Deno.test(`oneProcessWall(): a daemon that ${what}`, () => {
    const [root, other] = [0, 1000].map((uid) => oneProcessWall(settings as unknown as Settings, uid, () => FILES));
    if (programs === 0) {
      for (const wall of [root, other]) assert.deepEqual([wall!.seccomp?.exec, wall!.landlock], [false, FILES]);
    } else {
      assert.equal(root!.seccomp?.exec, true);
      assert.equal(other!.seccomp, null);
      for (const wall of [root, other]) assert.equal(wall!.landlock, null);
    }
  });
}

const relaying = oneProcessWall(RELAY as unknown as Settings, 1000, () => FILES);
const delivering = oneProcessWall(CASES[5][1] as unknown as Settings, 0, () => FILES);
const shown = [
  [
    "all stands",
    relaying,
    { seccomp: true, namespaces: false, landlockAbi: 7 },
    /^user: uid 1000; namespaces and network: this machine's; files: read \/etc, write \/spool \/run; seccomp: .*no programs, no processes, no signals to others$/,
  ],
  [
    "no Landlock",
    relaying,
    { seccomp: true, namespaces: false, landlockAbi: 0 },
    /write \/spool \/run \(does not stand: this kernel has no Landlock\); seccomp: /,
  ],
  [
    "no seccomp",
    relaying,
    { seccomp: false, namespaces: true, landlockAbi: 7 },
    /\(does not stand: this kernel has no seccomp\)$/,
  ],
  [
    "a root without rights",
    delivering,
    { seccomp: true, namespaces: false, landlockAbi: 7 },
    /\(does not stand: it takes CAP_SYS_ADMIN/,
  ],
  ["root", delivering, { seccomp: true, namespaces: true, landlockAbi: 7 }, /^user: root; .*no tracing of processes$/],
] as const;
for (const [name, wall, support, want] of shown) {
  Deno.test(`describeOneProcess(): ${name}`, () => assert.match(describeOneProcess(wall, () => support), want));
}

Deno.test("describeOneProcess() and putUpWall() tell why a wall does not stand, and throw nothing", () => {
  const fail = () => {
    throw new Error("no C library");
  };
  assert.match(
    describeOneProcess(relaying, fail),
    /run \(does not stand: no C library\); .*\(does not stand: no C library\)$/,
  );
  assert.deepEqual(putUpWall(relaying, { seccomp: fail, landlock: fail }), [
    "Landlock (no C library)",
    "a filter of system calls (no C library)",
  ]);
  assert.deepEqual(putUpWall({ seccomp: null, landlock: null, programs: true }, { seccomp: fail, landlock: fail }), []);
});

Deno.test("beyondWall() names what a process behind its wall cannot become", () => {
  const next = (files: Partial<typeof FILES> | object) => ({ ...relaying, landlock: { ...FILES, ...files } });
  assert.deepEqual(beyondWall(relaying, next({ read: ["/etc/mail", "/spool/x"], write: ["/run"] })), []);
  assert.deepEqual(beyondWall(relaying, next({ read: ["/etcetera"], write: ["/etc"], sockets: ["/spool"] })), [
    "it may not read /etcetera",
    "it may not write /etc",
    "it may not listen in /spool",
  ]);
  assert.deepEqual(beyondWall(relaying, delivering), ["it may not start programs"]);
  assert.deepEqual(beyondWall(delivering, relaying), []);
});

Deno.test("oneProcessFiles(): the folders of what the configuration names, also behind a link, and no others of its user", () => {
  const folder = Deno.makeTempDirSync();
  try {
    for (const name of ["conf", "keys", "elsewhere", "spool", "run", "state", "log", "admin"]) {
      Deno.mkdirSync(`${folder}/${name}`);
    }
    Deno.writeTextFileSync(`${folder}/elsewhere/key`, "");
    Deno.symlinkSync(`${folder}/elsewhere/key`, `${folder}/conf/key`);
    const env = {
      SMTPD_SPOOL: `${folder}/spool`,
      SMTPD_SOCKET: `${folder}/run/s.sock`,
      SMTPD_STATE: `${folder}/state`,
    };
    const config = {
      file: `${folder}/conf/smtpd.conf`,
      declared: { "table t": { file: `${folder}/conf/included`, line: 1 } },
      pki: { a: { certFile: `${folder}/missing/cert`, keyFile: `${folder}/conf/key` } },
      ca: {},
      dkim: [{ keyFile: `${folder}/keys/k` }],
      queue: { encryption: null, oldKeys: [] },
      log: [{ kind: "syslog" }, { kind: "file", path: `${folder}/log/smtpd.log` }],
      admin: [{ address: "127.0.0.1", port: 1 }, { path: `${folder}/admin/s.sock` }],
      tables: {},
      tableFiles: {},
      actions: {},
    };
    const rules = oneProcessFiles({
      config: config as never,
      env: { get: (name) => (env as Record<string, string>)[name] },
    });
    const own = (paths: readonly string[]) =>
      paths.filter((path) => path.startsWith(folder)).map((path) => path.slice(folder.length));
    assert.deepEqual(own(rules.read), ["/conf", "/elsewhere", "/keys"]);
    assert.deepEqual(own(rules.write), ["/spool", "/state", "/keys", "/log"]);
    assert.deepEqual(rules.sockets, [`${folder}/run`, `${folder}/admin`]);
    for (const path of ["/", "/home", "/tmp", "/var", "/root"]) assert.ok(!rules.read.includes(path), path);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
