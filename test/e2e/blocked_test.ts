/** A destination that blocks this server, seen from outside: it is left alone, others go on, and the operator sees why and ends it. */

import assert from "node:assert/strict";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { type Daemon, OWNER, withDaemon } from "./harness.ts";

async function send(daemon: Daemon, to: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.net>", "250");
  await client.say(`RCPT TO:<${to}>`, "250");
  await client.say("DATA", "354");
  await client.say("Subject: x\r\n\r\nx\r\n.", "250");
  client.close();
}

Deno.test("a 4xx that says blocked suspends its destination, others go on, and resume route ends it", async () => {
  let blocks = true;
  const strict = await fakeServer({
    host: "127.0.0.2",
    reply: (line) => blocks && line.startsWith("MAIL") ? "421 4.7.0 Your ip has been blocked for now" : undefined,
  });
  const kind = await fakeServer({ host: "127.0.0.3" });
  const slow = await fakeServer({
    host: "127.0.0.4",
    reply: (line) => line.startsWith("RCPT") ? "450 4.2.0 Greylisted, please come back" : undefined,
  });
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `listen on socket
listen on 127.0.0.1 port ${port}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "strict" relay host "smtp://127.0.0.2:${strict.port}"
action "kind" relay host "smtp://127.0.0.3:${kind.port}"
action "slow" relay host "smtp://127.0.0.4:${slow.port}"
match from any for domain "strict.example" action "strict"
match from any for domain "kind.example" action "kind"
match from any for domain "slow.example" action "slow"
match from any for any action "inbox"
`;
  try {
    await withDaemon({ config }, async (daemon) => {
      await send(daemon, "one@strict.example");
      await daemon.logged(
        /^smtp-out: Suspending route \[\] <-> 127\.0\.0\.2 .* for 900s: blocked, 421 4\.7\.0 Your ip/,
      );
      await daemon.logged(/ to=<one@strict\.example> .*result="TempFail" stat="421 4\.7\.0 Your ip/);
      await send(daemon, "two@strict.example");
      await daemon.logged(
        / to=<two@strict\.example> .*stat="127\.0\.0\.2 blocks mail of this server for now; next try/,
      );
      await send(daemon, "three@kind.example");
      await daemon.logged(/ to=<three@kind\.example> .*result="Ok"/);
      await send(daemon, "four@slow.example");
      await daemon.logged(/ to=<four@slow\.example> .*result="TempFail"/);
      assert.equal(strict.sessions.length, 1);

      const { stdout: hosts } = await daemon.tool("smtpctl", ["show", "hosts"]);
      assert.match(
        hosts,
        /^127\.0\.0\.2 .*\n {2}Mail is suspended for 1[45]m.*: the host blocks this server\. It said: 421 4/m,
      );
      assert.match(hosts, /^127\.0\.0\.4 .*\n {2}Last failure \S+ ago, class greylisted: 450 4\.2\.0 Greylisted/m);
      const queue = (await daemon.tool("smtpctl", ["show", "queue", "--json"])).stdout.trim().split("\n").map((line) =>
        JSON.parse(line) as Record<string, string>
      );
      const waits = (to: string) => {
        const { errorClass, dueAt, lastTryAt } = queue.find(({ dest }) => dest === to)!;
        return [errorClass, Math.round((Date.parse(dueAt!) - Date.parse(lastTryAt!)) / 60_000)];
      };
      assert.deepEqual(waits("one@strict.example"), ["reputation", 30]);
      assert.deepEqual(waits("two@strict.example"), ["reputation", 30]);
      assert.deepEqual(waits("four@slow.example"), ["greylisted", 5]);

      blocks = false;
      assert.equal((await daemon.tool("smtpctl", ["resume", "route", "0"])).code, 0);
      await daemon.tool("smtpctl", ["schedule", "domain", "strict.example"]);
      await daemon.logged(/ to=<one@strict\.example> .*result="Ok"/);
      await daemon.logged(/ to=<two@strict\.example> .*result="Ok"/);
      assert.doesNotMatch((await daemon.tool("smtpctl", ["show", "hosts"])).stdout, /suspended/);

      await daemon.kill();
      await daemon.launch();
      await daemon.logged(/./);
      const after = JSON.parse((await daemon.tool("smtpctl", ["show", "queue", "--json"])).stdout) as Record<
        string,
        string
      >;
      assert.equal(
        Math.round((Date.parse(after.dueAt!) - Date.parse(after.lastTryAt!)) / 60_000),
        5,
        "the class holds after a crash",
      );
    });
  } finally {
    for (const server of [strict, kind, slow]) await server.close();
  }
});
