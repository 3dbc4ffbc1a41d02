/**
 * The wall around a daemon in one process, in the real kernel: what stands depends on who starts it and on whether its configuration, or a user, may name
 * programs. Programs go on working with all that they may.
 */

import assert from "node:assert/strict";
import { chownSync } from "node:fs";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, PROJECT, run, withDaemon } from "./harness.ts";

const NOBODY = 65534;
const AS_NOBODY: readonly [string, ...string[]] = [
  "setpriv",
  `--reuid=${NOBODY}`,
  `--regid=${NOBODY}`,
  "--clear-groups",
  join(PROJECT, "scripts/smtpd"),
];
const ignore = Deno.build.os !== "linux" || Deno.uid() !== 0;

/** Mode of seccomp(2) and no-new-privs, of every thread. */
function wallsOf(pid: number): string[] {
  const walls = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) =>
    wallsIn(Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`))
  );
  return [...new Set(walls)];
}

function wallsIn(status: string): string {
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\d)`, "m").exec(status)?.[1];
  return `seccomp ${field("Seccomp")}, no-new-privs ${field("NoNewPrivs")}`;
}

const FILTER = `printf 'register|report|smtp-in|link-disconnect\\nregister|ready\\n'; while read -r line; do :; done`;

/** Mail is delivered by a command, which notes its walls; a filter runs beside it. */
function local({ port, folder }: { port: number; folder: string }): string {
  chownSync(folder, NOBODY, NOBODY);
  return `filter "beside" proc-exec "/bin/sh ${folder}/filter"
listen on 127.0.0.1 port ${port} filter "beside"
action "run" mda "cat /proc/self/status > ${folder}/status; cat > ${folder}/message; mkdir ${folder}/done" virtual { "@" = nobody } user nobody
match from any for domain "${DOMAIN}" action "run"
`;
}

async function delivered(folder: string): Promise<string> {
  using watcher = Deno.watchFs(folder, { recursive: false });
  const isDone = () => [...Deno.readDirSync(folder)].some(({ name }) => name === "done");
  if (!isDone()) { for await (const _ of watcher) if (isDone()) break; }
  return await Deno.readTextFile(join(folder, "message"));
}

async function sendTo(port: number): Promise<void> {
  const client = await Client.connect(port);
  await client.say("EHLO client.example.com", "250");
  await client.send("a@example.com", `someone@${DOMAIN}`, "Subject: walls\r\n\r\nx\r\n");
  client.close();
}

/** What `smtpd -n -v` says, started as the daemon was. */
async function shownBy(daemon: Daemon, [command, ...first]: readonly string[]): Promise<string> {
  const args = [...first, "-n", "-v", "--one-user", "-f", daemon.configFile];
  return (await run(command!, args, { env: daemon.env })).stderr;
}

const AS_ROOT: readonly [string, ...string[]] = [join(PROJECT, "scripts/smtpd")];
const rows = [
  {
    name: "started by an ordinary user, it has none where programs may be started, and they have none",
    program: AS_NOBODY,
    daemon: "seccomp 0, no-new-privs 0",
    command: "seccomp 0, no-new-privs 0",
    shown: /^One process: .*seccomp: none \(filters, tables and local deliveries may start programs/m,
  },
  {
    name: "started by root, it and its programs have a filter of system calls, and these keep their privileges",
    program: AS_ROOT,
    daemon: "seccomp 2, no-new-privs 0",
    command: "seccomp 2, no-new-privs 0",
    shown: /^One process: .*seccomp: no kernel interfaces, no tracing of processes$/m,
  },
] as const;

for (const { name, program, daemon: wantDaemon, command, shown } of rows) {
  Deno.test(`one process that delivers by commands: ${name}`, { ignore }, async () => {
    const config = (at: { port: number; folder: string }) => {
      Deno.writeTextFileSync(`${at.folder}/filter`, FILTER);
      return local(at);
    };
    await withDaemon({ config, program }, async (daemon) => {
      assert.deepEqual(wallsOf(daemon.pid), [wantDaemon]);
      await sendTo(daemon.port);
      assert.match(await delivered(daemon.folder), /Subject: walls/);
      assert.equal(wallsIn(await Deno.readTextFile(join(daemon.folder, "status"))), command);
      assert.match(await shownBy(daemon, program), shown);
    });
  });
}

Deno.test("one process that only relays starts no programs, in all threads, and relays", { ignore }, async (test) => {
  const sink = await Daemon.start({
    config: (at) => {
      Deno.writeTextFileSync(`${at.folder}/filter`, FILTER);
      return local(at);
    },
  });
  try {
    for (const [who, program] of [["an ordinary user", AS_NOBODY], ["root", AS_ROOT]] as const) {
      await test.step(`of ${who}`, async () => {
        await relays(sink, program);
        await Deno.remove(join(sink.folder, "done"));
      });
    }
  } finally {
    await sink.stop();
    await sink.remove();
  }
});

async function relays(sink: Daemon, program: readonly [string, ...string[]]): Promise<void> {
  const config = ({ port, folder }: { port: number; folder: string }) => {
    chownSync(folder, NOBODY, NOBODY);
    return `listen on socket
listen on 127.0.0.1 port ${port}
action "out" relay host smtp://127.0.0.1:${sink.port}
match from any for any action "out"
`;
  };
  await withDaemon({ config, program }, async (daemon) => {
    assert.deepEqual(wallsOf(daemon.pid), ["seccomp 2, no-new-privs 1"]);
    await sendTo(daemon.port);
    assert.match(await delivered(sink.folder), /Subject: walls/);
    const status = await daemon.tool("smtpctl", ["show", "status"]);
    assert.equal(status.code, 0);
    assert.match(status.stdout, /, no new privileges, a filter of system calls, files as Landlock allows$/m);
    assert.doesNotMatch(status.stdout, /missing/);
    assert.match(await shownBy(daemon, program), /^One process: .*seccomp: no kernel interfaces, no programs, /m);
  });
}
