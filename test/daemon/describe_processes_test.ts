/** What `smtpd -n -v` prints of the processes: from the tables that they are started by, and of kernels that give less. */

import assert from "node:assert/strict";
import { describeProcesses, missingWalls } from "../../src/daemon/describe_processes.ts";
import type { Grants, Role } from "../../src/protocol/mod.ts";
import { PROCESSES } from "../../src/protocol/processes.ts";
import { ROLES } from "../../src/protocol/roles.ts";

const USERS = { smtpd: { name: "smtpd", uid: 101, gid: 111 }, smtpq: { name: "smtpq", uid: 102, gid: 112 } };
const FULL = { landlockAbi: 6, seccomp: true, namespaces: true };
const grants = Object.fromEntries(Object.keys(ROLES).map((role) => [role, {}])) as Record<Role, Grants>;
const granted = { ...grants, queue: { read: ["/spool"], write: ["/spool"] }, lookup: { read: ["/etc/passwd"] } };
const runtime = { program: "/bin/deno", denoDir: "/cache" };

Deno.test("each process is shown with its isolates, its user, files and network, and each isolate once", () => {
  const lines = describeProcesses(granted, USERS, runtime, () => FULL);
  const text = lines.join("\n");
  assert.match(text, /^ {2}parent +isolates: main .*\n +user: root; .*network.*files.*seccomp: none$/m);
  assert.match(text, /^ {2}kernel +Landlock: ABI 6; seccomp: yes; namespaces: yes$/m);
  for (const [name, { user, roles, network }] of Object.entries(PROCESSES)) {
    const at = lines.findIndex((line) => line.startsWith(`  ${name} `));
    assert.ok(lines[at]!.endsWith(`isolates: ${roles.join(" ")}`), lines[at]);
    const { uid, gid } = USERS[user];
    assert.match(lines[at + 1]!, new RegExp(`user: ${user} \\(uid ${uid}, gid ${gid}\\)`));
    assert.match(lines[at + 1]!, network === "own" ? /network: a namespace of its own/ : /network: this machine's/);
    assert.equal(lines[at + 1]!.includes("/spool"), name === "vault");
    assert.equal(lines[at + 1]!.includes("/etc/passwd"), name === "out");
    assert.match(lines[at + 1]!, /no new privileges; namespaces: .*\/proc/);
    assert.equal(/namespaces: [^;]*network, IPC/.test(lines[at + 1]!), network === "own");
    assert.match(lines[at + 1]!, /seccomp: .*no programs/);
  }
  const shown = [...text.matchAll(/isolates: (.*)$/gm)].flatMap(([, names]) => names!.split(" "));
  assert.deepEqual(shown.sort(), ["main", ...Object.keys(ROLES)].sort());
  assert.doesNotMatch(text, /warning/);
});

const KERNELS: readonly { support: Partial<typeof FULL>; says: readonly RegExp[] }[] = [
  { support: {}, says: [] },
  {
    support: { landlockAbi: 5 },
    says: [/abstract sockets and signals apart \(Landlock ABI 5; 6 of Linux 6\.12 can\)/],
  },
  { support: { landlockAbi: 3 }, says: [/limit TCP/, /abstract sockets/] },
  { support: { landlockAbi: 1 }, says: [/truncate/, /limit TCP/, /abstract sockets/] },
  { support: { landlockAbi: 0 }, says: [/has no Landlock/] },
  { support: { seccomp: false }, says: [/has no seccomp/] },
  { support: { namespaces: false }, says: [/make no namespaces/] },
];
for (const { support, says } of KERNELS) {
  Deno.test(`of a kernel with ${JSON.stringify(support)} it is said what it cannot give`, () => {
    const lines = missingWalls({ ...FULL, ...support });
    assert.equal(lines.length, says.length, lines.join("\n"));
    says.forEach((pattern, index) => assert.match(lines[index]!, pattern));
    const shown = describeProcesses(granted, USERS, runtime, () => ({ ...FULL, ...support }));
    assert.equal(shown.filter((line) => line.startsWith("  warning: this kernel ")).length, says.length);
    const { landlockAbi = 6, seccomp = true, namespaces = true } = support;
    const [abi, yes] = [landlockAbi === 0 ? "no" : `ABI ${landlockAbi}`, (has: boolean) => has ? "yes" : "no"];
    const given = `  kernel     Landlock: ${abi}; seccomp: ${yes(seccomp)}; namespaces: ${yes(namespaces)}`;
    assert(shown.includes(given), shown.join("\n"));
  });
}
