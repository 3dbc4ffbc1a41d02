/** Mail programs that people use, against the real daemon. Each row sends one message; what arrives is read back from the Maildir. */

import assert from "node:assert/strict";
import { join } from "node:path";
import nodemailer from "nodemailer";
import PostalMime from "postal-mime";
import { type Daemon, DOMAIN, PROJECT, run, withDaemon } from "./harness.ts";

interface Row {
  /** Also the recipient. */
  readonly user: string;
  readonly because: string;
  send(daemon: Daemon, to: string): Promise<void>;
}

const SUBJECT = "From a real client";
const BODY = "First line\n.\n..two dots\nlast line\n";
const MESSAGE = `From: sender@example.com\nTo: someone@${DOMAIN}\nSubject: ${SUBJECT}\n\n${BODY}`;

async function succeeds(command: string, args: readonly string[], input = "", env: Record<string, string> = {}) {
  const ran = await run(command, args, { input, env });
  assert.equal(ran.code, 0, `${command} ended with ${ran.code}: ${ran.stdout}${ran.stderr}`);
}

const PYTHON = `
import smtplib, sys
port, to, message = int(sys.argv[1]), sys.argv[2], sys.stdin.read()
with smtplib.SMTP("127.0.0.1", port) as client:
    client.sendmail("sender@example.com", [to], message)
`;

const ROWS: readonly Row[] = [
  {
    user: "swaks",
    because: "swaks sends with EHLO and a plain body",
    send: ({ port }, to) =>
      succeeds("swaks", [
        ...["--server", `127.0.0.1:${port}`, "--from", "sender@example.com", "--to", to],
        ...["--data", MESSAGE.replaceAll("\n", "\\n"), "--hide-all"],
      ]),
  },
  {
    user: "pipelined",
    because: "swaks sends its commands in one go",
    send: ({ port }, to) =>
      succeeds("swaks", [
        ...["--server", `127.0.0.1:${port}`, "--from", "sender@example.com", "--to", to, "--pipeline"],
        ...["--data", MESSAGE.replaceAll("\n", "\\n"), "--hide-all"],
      ]),
  },
  {
    user: "python",
    because: "Python's smtplib sends",
    send: ({ port }, to) => succeeds("python3", ["-c", PYTHON, String(port), to], MESSAGE),
  },
  {
    user: "nodemailer",
    because: "nodemailer sends",
    async send({ port }, to) {
      const transport = nodemailer.createTransport({ host: "127.0.0.1", port, ignoreTLS: true });
      await transport.sendMail({ envelope: { from: "sender@example.com", to }, raw: MESSAGE });
      transport.close();
    },
  },
  {
    user: "msmtp",
    because: "msmtp sends",
    send: ({ port }, to) =>
      succeeds(
        "msmtp",
        ["-C", "/dev/null", "--host=127.0.0.1", `--port=${port}`, "--tls=off", "--from=sender@example.com", to],
        MESSAGE,
      ),
  },
  {
    user: "curl",
    because: "curl sends, with SIZE in its MAIL",
    send: ({ port }, to) =>
      succeeds("curl", [
        ...["-sS", "--crlf", `smtp://127.0.0.1:${port}/client.example.com`, "--mail-from", "sender@example.com"],
        ...["--mail-rcpt", to, "-T", "-"],
      ], MESSAGE),
  },
  {
    user: "mutt",
    because: "mutt hands its message to our sendmail",
    send: (daemon, to) =>
      succeeds(
        "mutt",
        [
          ...["-n", "-F", "/dev/null", "-e", `set sendmail="${join(PROJECT, "scripts/sendmail")}"`],
          ...["-e", "set copy=no", "-e", "set from=sender@example.com", "-s", SUBJECT, "--", to],
        ],
        BODY,
        { ...daemon.env, HOME: daemon.folder },
      ),
  },
  {
    user: "smtp",
    because: "our own smtp(1) sends",
    send: ({ port }, to) =>
      succeeds(
        join(PROJECT, "scripts/smtp"),
        ["-s", `smtp+notls://127.0.0.1:${port}`, "-F", "sender@example.com", to],
        MESSAGE,
      ),
  },
];

Deno.test("The daemon takes mail from the programs that people use", async (test) => {
  await withDaemon({}, async (daemon) => {
    for (const row of ROWS) {
      await test.step(row.because, async () => {
        await row.send(daemon, `${row.user}@${DOMAIN}`);
        const bytes = await daemon.mailbox(row.user).message();
        const mail = await PostalMime.parse(bytes);
        assert.equal(mail.subject, SUBJECT);
        assert.equal(mail.from?.address, "sender@example.com");
        assert.equal(mail.text?.replaceAll("\r\n", "\n").trimEnd(), BODY.trimEnd());
        const text = new TextDecoder().decode(bytes);
        assert.match(
          text,
          /^Return-Path: <sender@example\.com>\nDelivered-To: /,
          "the Maildir file says where it came from",
        );
        assert.match(text, /^Received: from .*\n(\s.*\n)*\s+.*(E?SMTP|local)/m, "each hop leaves a Received field");
        assert.ok(!text.includes("\r"), "a stored message has LF line ends");
      });
    }
    await test.step("a recipient of no domain of ours is refused", async () => {
      const ran = await run("swaks", [
        ...["--server", `127.0.0.1:${daemon.port}`, "--from", "sender@example.com", "--to", "user@elsewhere.example"],
      ]);
      assert.equal(ran.code, 24, "swaks: no recipient was accepted");
      assert.match(ran.stdout, /<\*\* 550 /);
    });
  });
});
