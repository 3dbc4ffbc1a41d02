/** The daemon with two users where the kernel, or a container, does not give all walls: it starts with a warning for each, and works. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { kernelSupport } from "../../src/kernel/mod.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, PROJECT, withDaemon } from "./harness.ts";

const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0 || !canTry();
const SMTPD = join(PROJECT, "scripts/smtpd");

function canTry(): boolean {
  const { seccomp, namespaces } = kernelSupport();
  return seccomp && namespaces;
}

/** On a kernel that does not know these system calls. */
function without(calls: string): readonly [string, ...string[]] {
  const helper = fileURLToPath(new URL("older_kernel.ts", import.meta.url));
  return [Deno.execPath(), "run", "--no-config", "--no-lock", "--no-check", "-A", helper, calls, SMTPD];
}

const rows: readonly {
  readonly name: string;
  readonly program: readonly [string, ...string[]];
  /** Of the process front. */
  readonly missing: readonly RegExp[];
  /** What `smtpctl show status` says that it lacks. */
  readonly lacks: string;
}[] = [
  {
    name: "no right to make namespaces, as root in most containers",
    program: ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", SMTPD],
    missing: [/a \/proc of its own \(unshare.*EPERM\)/, /a network of its own \(unshare.*EPERM\)/],
    lacks: "a network of its own; IPC of its own; a /proc of its own",
  },
  {
    name: "mounts refused, as by AppArmor in a container",
    program: without("mount"),
    missing: [/a \/proc of its own \(mount\(2\): .*ENOSYS\)/],
    lacks: "a /proc of its own",
  },
  {
    name: "neither namespaces nor Landlock nor seccomp",
    program: without("unshare,landlock_create_ruleset,seccomp"),
    missing: [
      /a \/proc of its own \(unshare/,
      /a network of its own \(unshare/,
      /files, TCP and neighbours \(Landlock is not in this kernel/,
      /a filter of system calls \(.*ENOSYS\)/,
    ],
    lacks:
      "a network of its own; IPC of its own; a /proc of its own; a filter of system calls; files and TCP as Landlock allows",
  },
];

async function deliverOne(daemon: Daemon): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("a@example.com", `someone@${DOMAIN}`, "Subject: walls\r\n\r\nx\r\n");
  client.close();
  await daemon.mailbox("someone").arrived(1);
}

for (const { name, program, missing, lacks } of rows) {
  Deno.test(`the daemon starts and delivers with ${name}, and warns of what does not stand`, { ignore }, async () => {
    await withDaemon({ twoUsers: true, program }, async (daemon) => {
      await deliverOne(daemon);
      const warnings = daemon.log.filter((line) =>
        line.startsWith("warn: this kernel does not give the process front")
      );
      for (const wall of missing) assert(warnings.some((line) => wall.test(line)), `${wall}: ${warnings.join("\n")}`);
      const { stdout } = await daemon.tool("smtpctl", ["show", "status"]);
      assert.equal(/^PROCESS front lacks: (.*)$/m.exec(stdout)?.[1], lacks, stdout);
    });
  });
}
