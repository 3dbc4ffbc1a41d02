/** The first mail of `smtpctl setup`, where it is looked for after it has left the queue. With the real daemon: test/e2e/setup_test.ts. */

import assert from "node:assert/strict";
import { sendTestMail } from "../../src/cli/smtpctl/setup/test_mail.ts";

/** Says a reply to each line; after 354 it waits for the end of the data. */
async function takeMail(listener: Deno.Listener, kept: (message: string) => void): Promise<void> {
  using connection = await listener.accept();
  const say = (reply: string) => connection.write(new TextEncoder().encode(`${reply}\r\n`));
  const piece = new Uint8Array(65_536), decoder = new TextDecoder();
  let text = "", inData = false;
  await say("220 mail.example.org");
  for (let size: number | null; (size = await connection.read(piece)) !== null;) {
    text += decoder.decode(piece.subarray(0, size));
    if (inData) {
      if (!text.endsWith("\r\n.\r\n")) continue;
      kept(text);
      inData = false;
      await say("250 2.0.0 0a1b2c3d Message accepted for delivery");
    } else {
      for (const line of text.split("\r\n").slice(0, -1)) {
        inData = line === "DATA";
        await say(inData ? "354 go on" : "250 ok");
      }
    }
    text = "";
  }
}

for (
  const { name, folders, arrives } of [
    { name: "in the Maildir has arrived", folders: ["new"], arrives: true },
    { name: "nowhere, where the Maildir is missing, has not arrived", folders: [], arrives: false },
    { name: "nowhere, where the Maildir is empty, has not arrived", folders: ["new", "cur"], arrives: false },
  ]
) {
  Deno.test(`setup: a test mail that has left the queue and is ${name}`, async () => {
    const home = await Deno.makeTempDir();
    using submission = Deno.listen({ transport: "unix", path: `${home}/smtpd.smtp.sock` });
    using control = Deno.listen({ transport: "unix", path: `${home}/smtpd.sock` });
    try {
      for (const folder of folders) await Deno.mkdir(`${home}/Maildir/${folder}`, { recursive: true });
      const taken = takeMail(submission, (message) => {
        if (arrives) Deno.writeTextFileSync(`${home}/Maildir/new/1`, message);
      });
      const asked = (async () => {
        using connection = await control.accept();
        await connection.read(new Uint8Array(1000));
        await connection.write(new TextEncoder().encode(`${JSON.stringify({ ok: true, count: 0 })}\n`));
      })();
      const mail = { domain: "example.org", hostname: "mail.example.org", mailbox: "maildir" as const };
      const { arrived, text } = await sendTestMail({ ...mail, reader: { name: "alice", home } }, {
        get: (name) => name === "SMTPD_SOCKET" ? `${home}/smtpd.sock` : undefined,
      });
      await Promise.all([taken, asked]);
      assert.equal(arrived, arrives, text);
      assert.match(
        text,
        arrives ? /is in .*\/Maildir\/new\/1\.$/ : /left the queue, and is not in the mailbox of alice/,
      );
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  });
}
