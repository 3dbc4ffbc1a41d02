/** Messages that flow through filters line by line, in the real daemon: changed, kept until the end, large, refused on the way. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { type FilterHarness, inbox, install, received, recorded } from "./filter_harness.ts";
import { type Daemon, DOMAIN, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const LINES = ["filter|smtp-in|data-line"];
const [EDIT, LATE, BOTH] = [0, 1, 2].map(() => freePort());

function config({ port, mail, folder }: FilterHarness): string {
  const programs = install(folder, {
    edit: { register: [...LINES, "report|smtp-in|tx-data"], record: true, line: "edit" },
    late: { register: LINES, line: "late" },
    plain: { register: ["report|smtp-in|*"], record: true },
  });
  return `filter edit ${programs.edit}
filter late ${programs.late}
filter plain ${programs.plain}
filter spam phase ehlo match helo "spam.example.com" junk
filter both chain { spam, late, plain, edit }
smtp max-message-size 20M
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${EDIT} filter edit
listen on 127.0.0.1 port ${LATE} filter { late }
listen on 127.0.0.1 port ${BOTH} filter both
${inbox(mail)}`;
}

async function send(port: number, to: string, data: string | Uint8Array, helo = "client.example.com"): Promise<void> {
  const client = await Client.connect(port);
  await client.say(`EHLO ${helo}`, "250");
  await client.send("sender@example.com", `${to}@${DOMAIN}`, data);
  await client.say("QUIT", "221");
  client.close();
}

/** `bytes` of lines that are all different. */
function large(bytes: number): string {
  const lines = ["Subject: large", ""];
  for (let at = 0, size = 0; size < bytes; at++) {
    const line = `${at} ${"x".repeat(at % 900)}`;
    size += line.length + 2;
    lines.push(line);
  }
  return lines.join("\r\n") + "\r\n";
}

async function body(daemon: Daemon, user: string): Promise<string> {
  const text = new TextDecoder("latin1").decode(await daemon.mailbox(user).message());
  return text.slice(text.indexOf("\n\n") + 2);
}

Deno.test("messages flow through filters", async (test) => {
  await withDaemon({ config }, async (daemon) => {
    await test.step("lines are added, changed and dropped, and dots stand as they were", async () => {
      await send(EDIT!, "edit", "Subject: hello\r\n\r\none\r\ndrop me\r\n..dot\r\n\xe9\r\n");
      const text = new TextDecoder().decode(await daemon.mailbox("edit").message());
      assert.match(text, /^X-Edited: yes\nSubject: hello \(edited\)\n/m);
      assert.ok(text.endsWith("\n\none\n.dot\n\xe9\n.added\n"), text);
      assert.ok(recorded(daemon, "edit").some((line) => line.endsWith("|..dot")), "it is sent dot-stuffed lines");
    });
    await test.step("a filter may keep all and say it at the end", async () => {
      const data = large(3_000_000);
      await send(LATE!, "late", data);
      assert.equal(await body(daemon, "late"), data.slice(data.indexOf("\r\n\r\n") + 4).replaceAll("\r\n", "\n"));
    });
    await test.step("one filter gets what the other has made", async () => {
      await send(BOTH!, "both", "Subject: hello\r\n\r\n" + large(500_000), "spam.example.com");
      const text = new TextDecoder().decode(await daemon.mailbox("both").message());
      assert.match(text, /\nX-Spam: Yes\nReceived: [^]*\nX-Edited: yes\nSubject: hello \(edited\)\n/);
      assert.match(text, /\n\.added\n$/);
      const plain = await received(daemon, "plain", /tx-commit/);
      assert.equal(plain.filter((line) => line.startsWith("filter|")).length, 0, "it has registered for reports only");
    });
    await test.step("messages of several sessions do not mix", async () => {
      const users = ["u1", "u2", "u3", "u4", "u5", "u6"];
      await Promise.all(users.map((user) => send(LATE!, user, `Subject: x\r\n\r\n${`${user}\r\n`.repeat(20_000)}`)));
      for (const user of users) assert.equal(await body(daemon, user), `${user}\n`.repeat(20_000));
    });
    await test.step("a message that is refused anyway ends there: the last line reaches the filter, what is wrong does not", async () => {
      const client = await Client.connect(EDIT!);
      await client.say("EHLO client.example.com", "250");
      await client.begin("a@example.com", `edit@${DOMAIN}`);
      await client.say("Subject: x\r\n\r\nbefore\r\n\r.\r\nbad\nline\r\nafter\r\n.", "550 5.6.0");
      const lines = await received(daemon, "edit", /tx-data\|\w+\|\w+\|permfail$/);
      assert.ok(!lines.some((line) => /after|bad/.test(line)));
      client.close();
    });
    await test.step("a client that leaves in the middle leaves nothing behind", async () => {
      const client = await Client.connect(LATE!);
      await client.say("EHLO client.example.com", "250");
      await client.begin("a@example.com", `gone@${DOMAIN}`);
      await client.write(new TextEncoder().encode(large(200_000)));
      client.close();
      await send(LATE!, "next", "Subject: x\r\n\r\nstill here\r\n");
      assert.equal(await body(daemon, "next"), "still here\n");
      assert.deepEqual(daemon.mailbox("gone").names(), []);
    });
    await test.step("a message that is larger than allowed is refused, however large", async () => {
      const client = await Client.connect(EDIT!);
      await client.say("EHLO client.example.com", "250");
      await client.begin("a@example.com", `edit@${DOMAIN}`);
      await client.write(new TextEncoder().encode("Subject: x\r\n\r\n" + `${"y".repeat(998)}\r\n`.repeat(22_000)));
      await client.say(".", "552 5.3.4");
      client.close();
    });
    await test.step("commands may come behind the message at once", async () => {
      const client = await Client.connect(LATE!);
      await client.say("EHLO client.example.com", "250");
      const one = `MAIL FROM:<a@example.com>\r\nRCPT TO:<piped@${DOMAIN}>\r\nDATA\r\n`;
      await client.write(new TextEncoder().encode(one));
      for (const code of ["250", "250", "354"]) await client.reply(code);
      await client.write(new TextEncoder().encode(`Subject: x\r\n\r\n1\r\n.\r\n${one}`));
      for (const code of ["250", "250", "250", "354"]) await client.reply(code);
      await client.say("Subject: x\r\n\r\n2\r\n.\r\nQUIT", "250");
      await client.reply("221");
      await daemon.mailbox("piped").arrived(2);
      client.close();
    });
  });
});
