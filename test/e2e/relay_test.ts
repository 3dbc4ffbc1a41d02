/** Mail from one daemon to another: relay to a smarthost, under TLS and with a login; bounces come back, also to rewritten senders. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, maildirConfig, OWNER, run } from "./harness.ts";

/** A self-signed certificate for 127.0.0.1, with keys in `folder`. */
async function certificate(folder: string): Promise<{ cert: string; key: string }> {
  const cert = join(folder, "mx.crt"), key = join(folder, "mx.key");
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=mx.${DOMAIN}`],
    ...["-keyout", key, "-out", cert],
  ]);
  assert.equal(made.code, 0, made.stderr);
  await Deno.chmod(key, 0o600);
  return { cert, key };
}

/** Of "sesame"; a replacement text has two dollars for one. */
const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1"
  .replaceAll("$", "$$$$");

/** Relays everything that is not for its own users to the other daemon. */
const relayConfig = (next: number) => ({ port, mail }: { port: number; mail: string }) =>
  `listen on socket
listen on 127.0.0.1 port ${port} hostname out.example.net
bounce warn-interval 1h
srs key "not for others"
table secrets { hop = "carol:sesame" }
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp+tls://hop@127.0.0.1:${next}" tls no-verify auth <secrets> src 127.0.0.9 helo-src { 127.0.0.9 = nine.example.net } srs
action "forward" expand-only virtual { "friend" = "four@${DOMAIN}" }
match from any for domain "fwd.example" action "forward"
match from any for domain "example.net" action "inbox"
match from any for any action "out"
`;

Deno.test("Mail goes from one daemon through another into a Maildir", async (test) => {
  const folder = await Deno.makeTempDir();
  const { cert, key } = await certificate(folder);
  const receiver = await Daemon.start({
    config: (daemon) =>
      `pki hop cert "${cert}"\npki hop key "${key}"\n` +
      maildirConfig(daemon).replace(
        /^(listen on 127\.0\.0\.1 .*)$/m,
        `$1 tls pki hop auth-optional { carol = "${HASH}" }`,
      ),
  });
  const sender = await Daemon.start({ config: relayConfig(receiver.port) });
  let failed = false;
  try {
    const send = async (to: readonly string[], body: string) => {
      const client = await Client.connect(sender.port);
      await client.say("EHLO client.example.com", "250");
      await client.say("MAIL FROM:<sender@example.net>", "250");
      for (const rcpt of to) await client.say(`RCPT TO:<${rcpt}>`, "250");
      await client.say("DATA", "354");
      await client.write(new TextEncoder().encode(`Subject: onward\r\n\r\n${body}`));
      await client.say(".", "250");
      await client.say("QUIT", "221");
      client.close();
    };

    failed ||= !await test.step("under TLS, each hop with its Received field", async () => {
      await send([`one@${DOMAIN}`], "..leading dot\r\n");
      const text = await receiver.mailbox("one").text();
      assert.equal(text.match(/^Received: /gm)?.length, 2);
      assert.match(text, /ESMTPSA.*TLS/, "the receiver saw TLS and a login");
      await receiver.logged(/ smtp authentication user=carol result=ok/);
      assert.ok(![...sender.log, ...receiver.log].join().includes("sesame"), "no log knows the password");
      assert.match(
        text,
        /^Received: from nine\.example\.net \(.*127\.0\.0\.9\]\)/m,
        "the name of the address it came from",
      );
      assert.match(text, /\n\n\.leading dot\n$/);
      await sender.logged(
        / mta delivery evpid=[0-9a-f]{16} from=<sender@example\.net> to=<one@example\.org> .* result="Ok" /,
      );
      await sender.logged(/ mta tls ciphers=TLSv1\.[23]/);
      await receiver.logged(/ smtp tls ciphers=TLSv1\.[23]/);
    });

    failed ||= !await test.step("several recipients of one domain share a transaction", async () => {
      const before = receiver.log.length;
      await send([`two@${DOMAIN}`, `three@${DOMAIN}`], "together\r\n");
      await Promise.all(["two", "three"].map((user) => receiver.mailbox(user).message()));
      await receiver.logged(/ smtp message msgid=[0-9a-f]{8} size=\d+ nrcpt=2 /, before);
    });

    failed ||= !await test.step("what the next host refuses comes back to its sender", async () => {
      await send(["nobody@elsewhere.example"], "lost\r\n");
      const text = await sender.mailbox("sender").text();
      assert.match(text, /^Return-Path: <>\nDelivered-To: /, "a bounce has no one to return to");
      assert.match(text, /^Content-Type: multipart\/report;/im);
      assert.match(text, /^Final-Recipient: rfc822; ?nobody@elsewhere\.example$/im);
      assert.match(text, /^Action: failed$/im);
      assert.match(text, /^Status: 5\./im);
    });

    failed ||=
      !await test.step("the sender of forwarded mail is rewritten, and a bounce finds the way back", async () => {
        await send(["friend@fwd.example"], "forwarded\r\n");
        const rewritten = /^Return-Path: <?(SRS0=\S{4}=[A-Z2-7]{2}=example\.net=sender@fwd\.example)>?$/m;
        const [, path] = rewritten.exec(await receiver.mailbox("four").text()) ?? [];
        assert.ok(path, "a rewritten return path");
        const client = await Client.connect(sender.port);
        await client.say("EHLO client.example.com", "250");
        await client.say("MAIL FROM:<>", "250");
        await client.say(`RCPT TO:<${path}>`, "250");
        await client.say("DATA", "354");
        await client.write(new TextEncoder().encode("Subject: came back\r\n\r\n"));
        await client.say(".", "250");
        await client.say("QUIT", "221");
        client.close();
        await sender.logged(/ mda delivery .* to=<sender@example\.net> rcpt=<SRS0=.* result="?Ok"? /);
      });

    failed ||=
      !await test.step("while the next host is down mail waits, and goes when asked to once it is back", async () => {
        assert.equal(await receiver.stop(), 0);
        await send([`late@${DOMAIN}`], "patience\r\n");
        await sender.logged(/ mta delivery .* to=<late@example\.org> .* result="TempFail" /);
        await receiver.launch();
        // The route rests for a while after a refused connection; the administrator knows better.
        const route = /^(\d+)\./m.exec((await sender.tool("smtpctl", ["show", "routes"])).stdout)?.[1];
        assert.equal((await sender.tool("smtpctl", ["resume", "route", route!])).code, 0);
        assert.equal((await sender.tool("smtpctl", ["schedule", "all"])).stdout, "1 envelope scheduled\n");
        assert.match(await receiver.mailbox("late").text(), /patience/);
      });
  } finally {
    if (failed) console.error([...sender.log.slice(-30), "-- receiver", ...receiver.log.slice(-30)].join("\n"));
    for (const daemon of [sender, receiver]) {
      await daemon.stop();
      await daemon.remove();
    }
    await Deno.remove(folder, { recursive: true });
  }
});
