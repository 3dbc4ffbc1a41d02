/** How walls are shown. */

import assert from "node:assert/strict";
import { describeWalls, type KernelWalls } from "../../src/kernel/mod.ts";

const FRONT: KernelWalls = {
  user: { name: "smtpd", uid: 71, gid: 72 },
  ownNetwork: true,
  read: [],
  execute: ["/usr/bin/deno", "/lib"],
  write: [],
  tcp: "none",
  seccomp: { internet: false, unix: false, listen: false, exec: false },
};
const rows: readonly { readonly name: string; readonly walls: KernelWalls; readonly want: string }[] = [
  {
    name: "all of them",
    walls: FRONT,
    want:
      "user: smtpd (uid 71, gid 72), no other groups, no new privileges; namespaces: mounts with a /proc of its own, network, IPC; " +
      "network: a namespace of its own, empty; TCP: none; files: execute /usr/bin/deno /lib; " +
      "seccomp: no kernel interfaces, no programs, no processes, no signals to others, no internet sockets, no unix sockets, no listening",
  },
  {
    name: "a process that connects and writes",
    walls: {
      ...FRONT,
      user: null,
      ownNetwork: false,
      read: ["/etc/aliases"],
      execute: [],
      write: ["/var/spool/vaultpost"],
      tcp: "connect",
      seccomp: { internet: true, unix: true, listen: true, exec: true },
    },
    want:
      "user: as its parent, no new privileges; namespaces: mounts with a /proc of its own; network: this machine's; TCP: connect only; files: read /etc/aliases, write /var/spool/vaultpost; " +
      "seccomp: no kernel interfaces, no tracing of processes",
  },
  { name: "no files", walls: { ...FRONT, execute: [] }, want: "TCP: none; files: none; seccomp:" },
];
for (const { name, walls, want } of rows) {
  Deno.test(`describeWalls() shows ${name}`, () => {
    const shown = describeWalls(walls);
    assert(shown.includes(want), shown);
  });
}
