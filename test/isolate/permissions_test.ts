/** Every isolate tries, in the real runtime and with the permissions of a real config, what it has no business with. */

import assert from "node:assert/strict";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { cutSettings, grantsFor } from "../../src/daemon/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { libcPath } from "../../src/delivery/mod.ts";
import type { Role } from "../../src/protocol/mod.ts";
import { LIBCRYPTO_PATHS } from "../../src/signer/mod.ts";
import { Supervisor } from "../../src/supervisor/supervisor.ts";

const ROLES: readonly Role[] = [
  "smtp",
  "lookup",
  "queue",
  "scheduler",
  "relay",
  "delivery",
  "privileged",
  "mailbox",
  "file",
  "forward",
  "filter",
  "login",
  "signer",
  "acme",
  "history",
  "control",
];

const libcrypto = LIBCRYPTO_PATHS.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
});

/** What the demo's isolates may do of the probe's attempts; everything else must be refused. */
const ALLOWED: Readonly<Record<Role, readonly string[]>> = {
  smtp: [],
  lookup: ["read /etc/passwd"],
  queue: ["read the spool", "write the spool"],
  scheduler: [],
  relay: ["connect", "connect by node", "listen"],
  delivery: [],
  // Users' .forward files name commands, which run as the user. It touches no file, reaches no host and sees no environment.
  privileged: ["spawn"],
  // Its mail folder and nothing else: no probe lies there.
  mailbox: [],
  // Users name files; it acts as the user then.
  file: ["read /etc/passwd", "read /etc/shadow", "write outside", "read the spool", "write the spool"],
  forward: ["read /etc/passwd", "read /etc/shadow", "read the spool"],
  filter: ["start the program of the config"],
  login: [],
  // OpenSSL's RSA, where this machine has it. It is given up at start.
  acme: [],
  // Its folder lies in the spool, of which it may touch nothing else: no probe lies there.
  history: [],
  signer: libcrypto === undefined ? [] : ["use libcrypto"],
  control: [],
};

const CONFIG = `
listen on 127.0.0.1 port 2525
admin listen on 127.0.0.1 port 8025
table users toy
action "inbox" maildir "MAIL/%{rcpt.user}" virtual { "@" = somebody }
action "out" relay
match for local action "inbox"
match for any action "out"
`;

Deno.test("each isolate is refused everything that the permission table does not grant it", async () => {
  const folder = await Deno.makeTempDir();
  const [spool, mail, outside, program] = ["spool", "mail", "outside", "table-toy"].map((name) =>
    `${folder}/${name}`
  ) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [spool, mail, outside]) Deno.mkdirSync(path);
  Deno.writeTextFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = (server.address() as AddressInfo).port;
  try {
    const received = await probe(spool, mail, { outside, inside: spool, port, libc: libcPath(), libcrypto, program });
    for (const role of ROLES) {
      // What the runtime allows the system may still refuse to who is not root.
      const allowed = received.get(role)!.filter((line) => !line.endsWith(": refused")).map((line) =>
        line.replace(/: (allowed|failed: PermissionDenied.*)$/, "")
      );
      // Root's daemon acts as the recipient through the C library: that grant is in the table, with its reason. It is given up at start.
      const ofRoot = ["mailbox", "file", "forward"].includes(role) && Deno.uid() === 0 ? ["use the C library"] : [];
      const expected = [...ALLOWED[role], ...ofRoot];
      assert.deepEqual(allowed, expected, `what ${role} was allowed`);
      assert.ok(received.get(role)!.length > 10, "the probe made all its attempts");
    }
  } finally {
    server.close();
    await Deno.remove(folder, { recursive: true });
  }
});

async function probe(
  spool: string,
  mail: string,
  targets: { program: string } & Record<string, unknown>,
): Promise<Map<Role, string[]>> {
  const parsed = parseConfig("smtpd.conf", {
    defines: [],
    files: { readText: () => CONFIG.replace("MAIL", mail), programPath: () => targets.program },
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const cut = cutSettings(parsed.config, {
    users: null,
    env: { get: (name) => name === "SMTPD_SPOOL" ? spool : undefined },
    certificates: { pki: {}, ca: {} },
    queueKeys: null,
    saltKey: new Uint8Array(32),
    listeners: [],
    serverName: "mx.example.org",
    resolver: { servers: [{ address: "192.0.2.1", port: 53 }], timeoutMs: 1, attempts: 1, hosts: [] },
    log: [{ id: 1, kind: "syslog", format: "text" }],
    descriptors: null,
    paused: { smtp: false, mda: false, mta: false },
  });
  // As with keys of DKIM.
  const settings = { ...cut, signer: { ...cut.signer, libcrypto: libcrypto ?? null } };
  const received = new Map<Role, string[]>();
  const channel = new BroadcastChannel("probes of the permissions test");
  const all = new Promise<void>((resolve) => {
    channel.onmessage = ({ data: { role, lines } }) => {
      if (received.set(role, lines).size === ROLES.length) resolve();
    };
  });
  const supervisor = new Supervisor({
    settings: Object.fromEntries(ROLES.map((role) => [role, { ...settings[role], probe: targets }])) as never,
    grants: grantsFor(settings),
    counts: { "per-core": 1, "local-delivery": 1, programs: 1, logins: 1, signing: 1, acme: 1, history: 1 },
    entry: () => new URL("./probe_worker.ts", import.meta.url),
    verbose: false,
    traces: [],
  }, {
    ondeath: () => {},
  });
  await supervisor.start();
  // These come when they are asked for.
  supervisor.grow("file");
  supervisor.grow("forward");
  await all;
  await supervisor.stop();
  channel.close();
  return received;
}
