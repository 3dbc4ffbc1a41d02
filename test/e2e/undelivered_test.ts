/** Mail that cannot be relayed: what its sender gets and why, name servers that come later, and clocks that were wrong. */

import assert from "node:assert/strict";
import net from "node:net";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { a, fakeDns, mx } from "../dns/fake_dns.ts";
import { freePort } from "../ports.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";

const DAY_MS = 86_400_000;

/** Replies to the banner and to commands, for a client on another loopback address: its name is asked of DNS. */
async function dialogue(port: number, from: string, lines: readonly string[]): Promise<string[]> {
  const socket = net.connect({ host: "127.0.0.1", port, localAddress: from });
  const replies: string[] = [];
  try {
    for await (const line of createInterface({ input: socket })) {
      if (line[3] === "-") continue;
      replies.push(line);
      const next = lines[replies.length - 1];
      if (next === undefined) break;
      socket.write(`${next}\r\n`);
    }
  } finally {
    socket.destroy();
  }
  return replies;
}

const own = [
  { user: "gone", to: "x@gone.test", status: "5.1.2", text: "Domain does not exist" },
  { user: "null", to: "x@null.test", status: "5.1.10", text: "Domain does not accept mail" },
  {
    user: "loop",
    to: "x@loop.test",
    status: "5.4.6",
    text: "Mail for loop.test loops back to this host: its mail exchanger me.loop.test is this host itself",
  },
  {
    user: "named",
    to: "x@named.test",
    status: "5.4.6",
    text: `Mail for named.test loops back to this host: its mail exchanger mx.${DOMAIN} is this host itself`,
  },
  {
    user: "literal",
    to: "x@[127.0.0.1]",
    status: "5.4.6",
    text: "Mail for 127.0.0.1 loops back to this host: it is this host itself",
  },
  // Not relayed at all, but what a command's exit code says is a reason like others.
  { user: "coded", to: "x@coded.test", status: "5.1.1", text: "user unknown: exited abnormally" },
];

async function send(daemon: Daemon, user: string, to: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.begin(`${user}@${DOMAIN}`, to);
  await client.write(new TextEncoder().encode("Subject: hello\r\n\r\nbody\r\n"));
  await client.say(".", "250");
  client.close();
}

/** Makes one queued message older, or younger than now, on the disk of a daemon that is off. */
function shift(daemon: Daemon, recipient: string, ms: number): void {
  const database = new DatabaseSync(`${daemon.folder}/spool/queue.db`);
  try {
    const { changes } = database.prepare(
      `UPDATE envelopes SET created_at = created_at + ?1, sum = NULL,
        facts = json_set(facts, '$.createdAt', created_at + ?1) WHERE json_extract(facts, '$.dest.local') = ?2`,
    ).run(ms, recipient);
    assert.equal(Number(changes), 1);
  } finally {
    database.close();
  }
}

Deno.test("mail that cannot be relayed goes back with the reason, also after restarts with a wrong clock", async (t) => {
  const dns = await fakeDns({
    "null.test": [mx(0, ".")],
    "loop.test": [mx(10, "me.loop.test")],
    "me.loop.test": [a("127.0.0.1")],
    "named.test": [mx(10, `mx.${DOMAIN}`)],
  });
  const listed = await fakeServer({ banner: "554 5.7.1 listed by bl.test" });
  const resolvConf = await Deno.makeTempFile();
  const nameServer = (port: number) =>
    Deno.writeTextFile(resolvConf, `nameserver [127.0.0.1]:${port}\noptions timeout:1 attempts:1\n`);
  await nameServer(freePort());
  const named = freePort();
  const config = ({ port, mail }: { port: number; mail: string }) => `
filter "named" phase connect match !rdns disconnect "550 5.7.1 You have no name"
listen on 127.0.0.1 port ${named} hostname mx.${DOMAIN} filter "named"
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "listed" relay host "smtp://127.0.0.1:${listed.port}"
action "coded" mda "exit 67" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay
match ! from rdns for domain "picky.test" reject
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "listed.test" action "listed"
match from any for domain "coded.test" action "coded"
match from any for any action "out"
`;
  try {
    await withDaemon({ config, env: { ASR_CONFIG: resolvConf } }, async (daemon) => {
      const rcpt = ["EHLO x.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@picky.test>"];
      await t.step("while no name server answers, nobody is refused for good for want of a name", async () => {
        assert.match((await dialogue(named, "127.0.0.9", []))[0]!, /^421 4\.4\.3 The name of your address /);
        assert.match((await dialogue(daemon.port, "127.0.0.9", rcpt))[3]!, /^451 /);
      });
      await t.step("resolv.conf that is written later holds for relay and lookup", async () => {
        await nameServer(dns.port);
        await daemon.logged(new RegExp(`^info: ${resolvConf} .*; name servers: 127\\.0\\.0\\.1 port ${dns.port}$`));
        await daemon.logged(/isolate lookup ended .*: it may reach other name servers then$/);
        await Promise.all(own.map(({ user, to }) => send(daemon, user, to)));
        await daemon.logged(/ mta delivery .* to=<x@gone\.test> .*result="PermFail"/);
        assert.ok(dns.queries.some((query) => query.endsWith("MX gone.test")));
      });
      await t.step("who has no name is refused for good when name servers say so", async () => {
        assert.deepEqual(await dialogue(named, "127.0.0.8", []), ["550 5.7.1 You have no name"]);
        assert.match((await dialogue(daemon.port, "127.0.0.8", rcpt))[3]!, /^550 /);
      });
      for (const { user, to, status, text } of own) {
        await t.step(`${to} comes back with ${status}`, async () => {
          const notice = await daemon.mailbox(user).text();
          assert.match(notice, new RegExp(`^Action: failed\nStatus: ${status.replaceAll(".", "\\.")}\n`, "m"));
          assert.ok(notice.includes(`: ${text}\n`), notice);
        });
      }
      await t.step("what a host says is in the log, the queue and the statistics", async () => {
        await send(daemon, "old", "old@listed.test");
        await daemon.logged(
          / to=<old@listed\.test> .*result="TempFail" stat="554 5\.7\.1 listed by bl\.test \(127\.0\.0\.1 port \d+, at the greeting\)"/,
        );
        await send(daemon, "young", "young@listed.test");
        await daemon.logged(
          / to=<young@listed\.test> .*result="TempFail" stat="554 5\.7\.1 listed by bl\.test \(127\.0\.0\.1 port \d+, at the greeting\)"/,
        );
        const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
        assert.equal(
          stdout.match(/\|554 5\.7\.1 listed by bl\.test \(127\.0\.0\.1 port \d+, at the greeting\)$/gm)?.length,
          2,
          stdout,
        );
        const { stdout: stats } = await daemon.tool("smtpctl", ["show", "hoststats"]);
        assert.match(
          stats,
          /^127\.0\.0\.1\|\d+\|554 5\.7\.1 listed by bl\.test \(127\.0\.0\.1 port \d+, at the greeting\)$/m,
        );
      });
      await t.step("mail whose time passed while the daemon was off is tried once, then goes back", async () => {
        const before = listed.sessions.length;
        assert.equal(await daemon.stop(), 0);
        shift(daemon, "old", -10 * DAY_MS);
        shift(daemon, "young", 400 * DAY_MS);
        await daemon.launch();
        const notice = await daemon.mailbox("old").text();
        assert.equal(listed.sessions.length, before + 1);
        assert.match(notice, /^Your message could not be delivered within 4 days, and/m);
        assert.match(
          notice,
          /^old@listed\.test: 554 5\.7\.1 listed by bl\.test \(127\.0\.0\.1\s+port\s+\d+,\s+at\s+the\s+greeting\)$/m,
        );
        assert.match(
          notice,
          /^Action: failed\nStatus: 4\.7\.1\nRemote-MTA: dns; \[127\.0\.0\.1\]\nDiagnostic-Code: smtp; 554 5\.7\.1 listed/m,
        );
        assert.equal(daemon.mailbox("old").names().length, 1, "no warning besides it");
      });
      await t.step("mail of a clock that was 400 days ahead is due half an hour after it was tried", async () => {
        const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
        const [, due] = /\|young@listed\.test\|.*\|pending\|(\d+)\|554 /.exec(stdout) ?? [];
        assert.ok(Number(due) > 0 && Number(due) <= 1800, stdout);
      });
    });
  } finally {
    await dns.close();
    await listed.close();
    await Deno.remove(resolvConf);
  }
});
