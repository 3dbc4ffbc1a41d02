/** What `smtpctl explain` says of a message, and what the running daemon then does with it: the same replies, place, host and sender. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { DOMAIN, Mailbox, OWNER, withDaemon } from "./harness.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";

interface StepRecord {
  readonly kind: string;
  readonly text: string;
  readonly line: number | null;
  readonly detail?: Readonly<Record<string, unknown>>;
  readonly steps?: readonly StepRecord[];
}

function* allOf(steps: readonly StepRecord[]): Generator<StepRecord> {
  for (const step of steps) {
    yield step;
    yield* allOf(step.steps ?? []);
  }
}

Deno.test("smtpctl explain says what the daemon then does, and does nothing itself", async () => {
  const next = await fakeServer({ keywords: ["SIZE 100000", "8BITMIME"] });
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `srs key "a secret"
queue ttl 1d
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user:strip}" virtual { "bob" = ${OWNER}, "away@${DOMAIN}" = "x@example.com" } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:${next.port}" helo out.${DOMAIN} srs
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "example.com" action "out"
`;
  try {
    await withDaemon({ config }, async (daemon) => {
      const recipients = [`bob@${DOMAIN}`, `away@${DOMAIN}`, `nobody@${DOMAIN}`, "x@example.net"];
      const message = "From: <a@example.net>\nSubject: b\u00f6dy\n\nHello\n";
      const options = ["--json", "--config", daemon.configFile, "--peer", "127.0.0.1", "-f", "a@example.net"];
      const words = recipients.flatMap((recipient) => ["-t", recipient]);
      const ran = await daemon.tool("smtpctl", ["explain", ...options, ...words, "-"], message);
      assert.equal(ran.code, 0, ran.stderr);
      const { steps, results } = JSON.parse(ran.stdout) as {
        steps: StepRecord[];
        results: { recipient: string; result: string }[];
      };
      const all = [...allOf(steps)];
      const detail = (kind: string) => all.find((step) => step.kind === kind)!.detail!;
      assert.deepEqual(daemon.mailbox("bob").names(), [], "nothing was delivered");
      assert.deepEqual(next.sessions, [], "nobody was connected to");

      const client = await Client.connect(daemon.port);
      try {
        await client.say("EHLO client.example.com", "250");
        await client.say("MAIL FROM:<a@example.net>", "250");
        const replies: string[] = [];
        for (const recipient of recipients) replies.push(await client.say(`RCPT TO:<${recipient}>`, ""));
        const refused = replies.map((reply) => reply.startsWith("250") ? null : reply.trimEnd());
        const explained = results.map(({ result }) => /^[45]\d\d /.test(result) ? result : null);
        assert.deepEqual(explained, refused, "who is refused, in which words");
        await client.say("DATA", "354");
        await client.say(`${message.replaceAll("\n", "\r\n")}.`, "250");
      } finally {
        client.close();
      }
      await daemon.logged(/ mda delivery .*result="?Ok/i);
      await daemon.logged(/ mta delivery .*result="?Ok/i);

      const { folder } = detail("maildir") as { folder: string };
      assert.equal(new Mailbox(folder).names().length, 1, `a file in ${folder}/new`);
      const { uid } = detail("user") as { uid: number };
      const file = `${folder}/new/${new Mailbox(folder).names()[0]}`;
      assert.equal(Deno.statSync(file).uid, uid, "as the user who was named");
      const { helo } = detail("source") as { helo: string };
      const { sender } = detail("sender") as { sender: string };
      const lines = next.lines();
      assert.equal(lines[0], `EHLO ${helo}`);
      assert.ok(sender.startsWith("SRS0="), sender);
      assert.ok(lines.some((line) => line.startsWith(`MAIL FROM:<${sender}>`)), lines.join("\n"));
      const { tries } = detail("tries") as { tries: { address: string; port: number }[] };
      assert.deepEqual(tries.map(({ address, port }) => `${address}:${port}`), [`127.0.0.1:${next.port}`]);
      assert.equal(detail("queue")["ttlSeconds"], 86_400);
    });
  } finally {
    await next.close();
  }
});
