/** The daemon with two users, as root starts it: whose the spool is over its life, and what still works then. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, OWNER, PROJECT, run, systemUsers, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;

function uidOf(name: string): number {
  const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((each) => each.startsWith(`${name}:`));
  return Number(line!.split(":")[2]);
}

/** Owners of the spool and of what is in it. */
function ownersOf(spool: string): Record<string, number> {
  const names = [...Deno.readDirSync(spool)].map(({ name }) => name);
  return Object.fromEntries(["", ...names].map((name) => [name, Deno.lstatSync(join(spool, name)).uid!]));
}

/** Uids of the processes that a process has started, sorted. */
function uidsBelow(pid: number): number[] {
  const uids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = Deno.readTextFileSync(`/proc/${name}/status`);
      if (Number(/^PPid:\s+(\d+)/m.exec(status)![1]) === pid) uids.push(Number(/^Uid:\s+(\d+)/m.exec(status)![1]));
    } catch {
      // It has ended.
    }
  }
  return uids.sort((a, b) => a - b);
}

async function sendOne(daemon: Daemon, user: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("a@example.com", `${user}@${DOMAIN}`, `Subject: ${user}\r\n\r\nx\r\n`);
  client.close();
}

Deno.test("with two users the spool is that of the queue's, whatever root does to it, and root takes it back", {
  ignore: !ROOT,
}, async (test) => {
  const queue = uidOf(systemUsers()[1]);
  // Files that only root can reach are read for the others.
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    Deno.mkdirSync(join(folder, "private"), { mode: 0o700 });
    Deno.writeTextFileSync(join(folder, "private/list"), `${OWNER}\n`, { mode: 0o600 });
    Deno.writeTextFileSync(join(folder, "private/boxes"), `@ :include:${folder}/private/list\n`, { mode: 0o600 });
    return `table boxes file:${folder}/private/boxes
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} auth-optional <boxes>
action "inbox" maildir "${mail}/%{rcpt.user}" virtual <boxes> user ${OWNER}
match from any for domain "${DOMAIN}" action "inbox"
`;
  };
  await withDaemon({ config, twoUsers: true }, async (daemon) => {
    const spool = daemon.env["SMTPD_SPOOL"]!, offline = join(spool, "offline");
    const assertOwners = (uid: number) => {
      for (const [name, owner] of Object.entries(ownersOf(spool))) {
        assert.equal(owner, ["offline", "scram.key"].includes(name) ? 0 : uid, name);
      }
      assert.equal(Deno.lstatSync(spool).mode! & 0o7777, 0o711);
      assert.equal(Deno.lstatSync(offline).mode! & 0o7777, 0o1733);
    };
    await test.step("mail is taken and delivered", async () => {
      await sendOne(daemon, "first");
      await daemon.mailbox("first").arrived(1);
      assert.equal(Deno.lstatSync(spool).uid, queue);
      const network = uidOf(systemUsers()[0]);
      assert.deepEqual(uidsBelow(daemon.pid), [network, network, queue].sort((a, b) => a - b));
    });
    await test.step("smtpctl show status has what the kernel says of each process, and what its isolates may do", async () => {
      const { stdout, code } = await daemon.tool("smtpctl", ["show", "status"]);
      assert.equal(code, 0);
      assert.match(stdout, /^MDA running\nMTA running\nSMTP running\nPROCESS /);
      assert.doesNotMatch(stdout, /lacks|does not run/);
      const network = uidOf(systemUsers()[0]);
      const stands = /^PROCESS (\w+) pid (\d+): user (\w+) \(uid (\d+), gid \d+\)(.*)$/gm;
      const shown = [...stdout.matchAll(stands)].map(([, ...words]) => words);
      const walls = ", a /proc of its own, no new privileges, a filter of system calls";
      const apart = `, a network of its own, IPC of its own${walls}`;
      assert.deepEqual(shown.map(([name, , user, uid, rest]) => [name, user, Number(uid), rest]), [
        ["parent", "root", 0, ""],
        ["front", systemUsers()[0], network, apart],
        ["out", systemUsers()[0], network, walls],
        ["vault", systemUsers()[1], queue, apart],
      ]);
      assert.equal(Number(shown[0]![1]), daemon.pid);
      for (const [, pid, , uid] of shown) assert.equal(Deno.statSync(`/proc/${pid}`).uid, Number(uid));
      for (const name of ["front", "out", "vault"]) {
        assert.match(stdout, new RegExp(`^PROCESS ${name} says of itself: .*Landlock`, "m"));
      }
      assert.match(stdout, new RegExp(`^PROCESS vault isolate queue: read=${spool} write=${spool} `, "m"));
      assert.match(stdout, /^PROCESS front isolate smtp( \(\d+\))?: nothing$/m);
      assert.match(stdout, /^PROCESS out isolate relay: net=any /m);
      assert.match(stdout, /^PROCESS parent isolate delivery: /m);
    });
    await test.step("smtpd -n -v shows that lookup itself reads nothing that is root's alone", async () => {
      const { stderr } = await daemon.tool("smtpd", ["-n", "-v", "-f", daemon.configFile]);
      assert.match(stderr, /^ {2}lookup +read=\/etc\/passwd( net=\S+)?$/m);
    });
    await test.step("what a user and root leave and what root lists and imports while it is down is there at the next start", async () => {
      const folder = join(daemon.folder, "exported");
      await daemon.tool("smtpctl", ["pause", "mda"]);
      await sendOne(daemon, "second");
      assert.equal((await daemon.tool("smtpctl", ["export", folder])).code, 0);
      assert.equal(await daemon.stop(), 0);
      assert.match((await daemon.tool("smtpctl", ["show", "queue"])).stdout, /second@/);
      assert.match((await daemon.tool("smtpctl", ["import", folder])).stdout, /1 envelope waits/);
      for (const name of ["import", "imported"]) assert.equal(Deno.lstatSync(join(spool, name)).uid, queue, name);
      assert.equal((await daemon.tool("sendmail", [`third@${DOMAIN}`], "Subject: x\n\nx\n")).code, 75);
      const asNobody = ["--reuid=nobody", "--clear-groups", join(PROJECT, "scripts/sendmail"), `fourth@${DOMAIN}`];
      const left = await run("setpriv", asNobody, { input: "Subject: x\n\nx\n", env: daemon.env });
      assert.equal(left.code, 75, left.stderr);
      await daemon.launch();
      await daemon.mailbox("second").arrived(2);
      for (const user of ["third", "fourth"]) await daemon.mailbox(user).arrived(1);
      assertOwners(queue);
    });
    await test.step("after a kill the next start goes on", async () => {
      await daemon.tool("smtpctl", ["pause", "mda"]);
      await sendOne(daemon, "fifth");
      await daemon.kill();
      await daemon.launch();
      await daemon.mailbox("fifth").arrived(1);
      assertOwners(queue);
    });
    await test.step("with --one-user it is root's, with the mail in it, and the user's again without", async () => {
      await daemon.tool("smtpctl", ["pause", "mda"]);
      await sendOne(daemon, "sixth");
      assert.equal(await daemon.stop(), 0);
      await daemon.launch({ more: ["--one-user", "-P", "mda"] });
      assertOwners(0);
      assert.deepEqual(uidsBelow(daemon.pid), [], "one process");
      const { stdout } = await daemon.tool("smtpctl", ["show", "status"]);
      assert.match(
        stdout,
        new RegExp(
          `^PROCESS smtpd pid ${daemon.pid}: user root \\(uid 0, gid 0[^)]*\\), a filter of system calls$`,
          "m",
        ),
      );
      assert.match(stdout, /^PROCESS smtpd isolate smtp/m);
      assert.doesNotMatch(stdout, /PROCESS (?!smtpd)|lacks/);
      assert.match((await daemon.tool("smtpctl", ["show", "queue"])).stdout, /sixth@/);
      assert.equal(await daemon.stop(), 0);
      await daemon.launch();
      await daemon.mailbox("sixth").arrived(1);
      assertOwners(queue);
    });
  });
});

Deno.test(
  "root with neither user, for a spool of its own, starts in one process with a warning",
  { ignore: !ROOT },
  async () => {
    const env = { SMTPD_USER: "nosuch-a", SMTPD_QUEUE_USER: "nosuch-b" };
    await withDaemon({ twoUsers: true, env }, async (daemon) => {
      assert.match(
        daemon.log.join("\n"),
        /^warning: this machine has neither the user "nosuch-a" \(SMTPD_USER\) nor "nosuch-b"/m,
      );
      assert.deepEqual(uidsBelow(daemon.pid), [], "one process");
      await sendOne(daemon, "one");
      await daemon.mailbox("one").arrived(1);
    });
  },
);

Deno.test("root that may not become another user is told what to do", { ignore: !ROOT }, async () => {
  const program = ["setpriv", "--bounding-set=-setuid", "--inh-caps=-setuid", join(PROJECT, "scripts/smtpd")] as const;
  await assert.rejects(
    Daemon.start({ twoUsers: true, program }),
    /Cannot become the user \w+: .*: let root have CAP_SETUID and CAP_SETGID here, or start smtpd with --one-user/,
  );
});
