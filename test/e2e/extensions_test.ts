/** SMTPUTF8, CHUNKING and REQUIRETLS through whole daemons, with the clients that people use; next hops that know them and one that does not. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Daemon, DOMAIN, maildirConfig, OWNER, run } from "./harness.ts";

/** Self-signed, for the address that the next hop is reached at. */
async function certificate(folder: string): Promise<{ cert: string; key: string }> {
  const cert = join(folder, "mx.crt"), key = join(folder, "mx.key");
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=mx.${DOMAIN}`],
    ...["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
  ]);
  assert.equal(made.code, 0, made.stderr);
  await Deno.chmod(key, 0o600);
  return { cert, key };
}

const senderConfig =
  (next: number, old: number, { cert, key }: { cert: string; key: string }) =>
  ({ port, mail }: { port: number; mail: string }) =>
    `pki own cert "${cert}"
pki own key "${key}"
ca own cert "${cert}"
mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-relay 0
listen on socket
listen on 127.0.0.1 port ${port} hostname out.example.net tls pki own
table mapped { "alias@bücher.example" = "jörg@${DOMAIN}", "@bücher.example" = ${OWNER} }
action "mapped" maildir "${mail}/%{rcpt.user}" virtual <mapped> user ${OWNER}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "old" relay host "smtp://127.0.0.1:${old}"
action "unverified" relay host "smtp://127.0.0.1:${next}"
action "verified" relay host "smtp://127.0.0.1:${next}" ca own
match from any for domain "bücher.example" action "mapped"
match from any for domain "example.net" action "inbox"
match from any for domain "old.example" action "old"
match from any for domain "unverified.example" action "unverified"
match from any for any action "verified"
`;

/** Sends standard input with Python's smtplib: port, options of MAIL (`tls` first for STARTTLS), sender, recipient. */
const PYTHON = `
import smtplib, ssl, sys
port, options, sender, to = int(sys.argv[1]), sys.argv[2].split(), sys.argv[3], sys.argv[4]
message = sys.stdin.buffer.read()
with smtplib.SMTP("127.0.0.1", port) as client:
    if options and options[0] == "tls":
        context = ssl._create_unverified_context()
        client.starttls(context=context)
        options = options[1:]
    if "SMTPUTF8" in options: client.command_encoding = "utf-8"
    client.ehlo()
    if options and options[0] == "chunks":
        client.mail(sender, options[1:])
        client.rcpt(to)
        half = len(message) // 2
        for part, last in (message[:half], ""), (message[half:], " LAST"):
            client.send(f"BDAT {len(part)}{last}\\r\\n".encode() + part)
            code, text = client.getreply()
            assert code == 250, text
    else:
        refused = client.sendmail(sender, [to], message, options)
        assert not refused, refused
`;

Deno.test("Extensions reach the next daemon, and what cannot comes back", async (test) => {
  const folder = await Deno.makeTempDir();
  const pair = await certificate(folder);
  const old = await fakeServer({ keywords: ["DSN", "8BITMIME"] });
  const receiver = await Daemon.start({
    config: (daemon) =>
      `pki hop cert "${pair.cert}"\npki hop key "${pair.key}"\n` +
      maildirConfig(daemon).replace(/^(listen on 127\.0\.0\.1 .*)$/m, "$1 tls pki hop")
        .replace(`for domain "${DOMAIN}"`, "for any"),
  });
  const sender = await Daemon.start({ config: senderConfig(receiver.port, old.port, pair) });
  const python = async (options: string, from: string, to: string, body: string) => {
    const input = new TextEncoder().encode(body.replaceAll("\n", "\r\n"));
    const ran = await run("python3", ["-c", PYTHON, String(sender.port), options, from, to], { input });
    assert.equal(ran.code, 0, ran.stderr);
  };
  let failed = false;
  const step = async (name: string, body: () => Promise<void>) => {
    failed ||= !await test.step(name, body);
  };
  try {
    await step("RFC 6531: python's smtplib, local part and header in UTF-8, domain in U-labels", async () => {
      await python("SMTPUTF8 BODY=8BITMIME", "josé@example.net", "jörg@bücher.example", "Subject: grüße\n\nhallo\n");
      const text = await sender.mailbox("jörg").text();
      assert.match(text, /^Return-Path: <?josé@example\.net>?$/m);
      assert.match(text, /^Delivered-To: jörg@xn--bcher-kva\.example$/m);
      assert.match(text, /^\tby out\.example\.net \(Vaultpost\) with UTF8SMTP id /m);
      assert.match(text, /^\tfor <jörg@xn--bcher-kva\.example>;$/m);
      assert.match(text, /^Subject: grüße$/m);
    });

    await step(
      "RFC 6531: an alias with its domain in U-labels leads to the next daemon, which receives SMTPUTF8",
      async () => {
        await python("SMTPUTF8", "josé@example.net", "alias@xn--bcher-kva.example", "Subject: grüße\n\nweiter\n");
        const text = await receiver.mailbox("jörg").text();
        assert.equal(text.match(/ with UTF8SMTPS? id /g)?.length, 2, text);
        assert.match(text, /weiter/);
      },
    );

    await step("RFC 6531: curl gives SMTPUTF8 by itself when an address needs it", async () => {
      const ran = await run("curl", [
        ...["-sS", "--crlf", `smtp://127.0.0.1:${sender.port}/client.example.com`, "--mail-from", "josé@example.net"],
        ...["--mail-rcpt", "zoë@example.net", "--upload-file", "-"],
      ], { input: "Subject: curl\n\nhallo\n", env: { LC_ALL: "C.UTF-8" } });
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(await sender.mailbox("zoë").text(), / with UTF8SMTP id /);
    });

    await step("RFC 6531 §3.5: swaks, which cannot give SMTPUTF8, gets 553 5.6.7", async () => {
      const args = ["--server", `127.0.0.1:${sender.port}`, "--from", "josé@example.net", "--to", "a@example.net"];
      const ran = await run("swaks", args, {});
      assert.notEqual(ran.code, 0);
      assert.match(ran.stdout, /^<\*\* 553 5\.6\.7 /m);
    });

    await step("RFC 6531 §3.5, RFC 6533: what the next host cannot be sent comes back with 5.6.7", async () => {
      await python("SMTPUTF8", "josé@example.net", "jörg@old.example", "Subject: grüße\n\nhallo\n");
      const text = await sender.mailbox("josé").text();
      assert.match(text, /^To: josé@example\.net$/m);
      assert.match(text, /^Content-Type: message\/global-delivery-status$/m);
      assert.match(text, /^Final-Recipient: utf-8; jörg@old\.example$/m);
      assert.match(text, /^Status: 5\.6\.7$/m);
      assert.match(text, /^Content-Type: message\/global-headers$/m);
      assert.match(text, /^Subject: grüße$/m);
      assert.deepEqual(old.messages(), []);
    });

    await step("RFC 6531 §3.4: all ASCII, it goes to that host without SMTPUTF8", async () => {
      await python("SMTPUTF8", "plain@example.net", "a@old.example", "Subject: plain\n\nhallo\n");
      await sender.logged(/ mta delivery .* to=<a@old\.example> .* result="Ok" /);
      assert.ok(old.lines().includes("MAIL FROM:<plain@example.net>"), old.lines().join("\n"));
    });

    await step("RFC 3030: chunks become one message", async () => {
      await python("chunks", "a@example.net", "chunked@example.net", "Subject: chunks\n\none\n.\n..two\n");
      assert.match(await sender.mailbox("chunked").text(), /\n\none\n\.\n\.\.two\n$/);
    });

    await step("RFC 8689: REQUIRETLS goes to a host whose certificate is valid and that offers it", async () => {
      await python("tls REQUIRETLS", "a@example.net", "safe@verified.example", "Subject: safe\n\nsafe\n");
      assert.match(await receiver.mailbox("safe").text(), / with ESMTPS id /);
    });

    await step("RFC 8689 §4.2.1: and comes back with 5.7.30 where nobody vouches for the certificate", async () => {
      await python("tls REQUIRETLS", "afraid@example.net", "x@unverified.example", "Subject: no\n\nsecret\n");
      const text = await sender.mailbox("afraid").text();
      assert.match(text, /^Status: 5\.7\.30$/m);
      assert.match(text, /REQUIRETLS: the certificate of the next host is not valid for it/);
      assert.doesNotMatch(text, /secret/, "the body is not sent back");
      await python("tls", "a@example.net", "x@unverified.example", "Subject: without\n\nwithout\n");
      assert.match(await receiver.mailbox("x").text(), /without/);
    });

    await step("smtpctl shows envelopes beyond ASCII", async () => {
      assert.equal((await sender.tool("smtpctl", ["pause", "mda"])).code, 0);
      await python("SMTPUTF8", "josé@example.net", "später@bücher.example", "Subject: x\n\nx\n");
      const listed = await sender.tool("smtpctl", ["show", "queue"]);
      // As vis(3) has it, in listings as in the log.
      assert.match(listed.stdout, /\|jos\\M-C\\M-\)@example\.net\|sp\\M-C\\M-\$ter@xn--bcher-kva\.example\|/);
      const id = listed.stdout.slice(0, 16);
      const shown = await sender.tool("smtpctl", ["show", "envelope", id]);
      assert.match(shown.stdout, /^flags: .*smtputf8/m);
    });
  } finally {
    if (failed) console.error([...sender.log.slice(-40), "-- receiver", ...receiver.log.slice(-30)].join("\n"));
    for (const daemon of [sender, receiver]) {
      await daemon.stop();
      await daemon.remove();
    }
    await old.close();
    await Deno.remove(folder, { recursive: true });
  }
});
