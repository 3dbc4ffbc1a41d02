/** mail.maildir, mail.mboxfile, mail.lmtp: options, exit statuses, what arrives. Files are written by those who are not root only. */

import { deepEqual, equal, match } from "node:assert/strict";
import { lmtpMain, maildirMain, mboxfileMain } from "../../src/cli/mail_helpers.ts";
import { environment, FakeTerminal, withFolder, withServer } from "./fakes.ts";

const MESSAGE = "X-Spam: yes\nSubject: hello\n\n.body\n";
const ROOT = Deno.uid() === 0;

type Main = typeof lmtpMain;
async function runs(main: Main, args: string[], env: Record<string, string> = {}) {
  const terminal = new FakeTerminal(MESSAGE);
  return { code: await main(args, environment(env), terminal), said: terminal.stderr };
}

const usages: readonly { main: Main; args: string[] }[] = [
  { main: maildirMain, args: ["/a", "/b"] },
  { main: maildirMain, args: ["-x"] },
  { main: mboxfileMain, args: [] },
  { main: mboxfileMain, args: ["/a", "/b"] },
  { main: lmtpMain, args: ["-u"] },
  { main: lmtpMain, args: ["-d", "/s"] },
];
for (const { main, args } of usages) {
  Deno.test(`${main.name} ${args.join(" ")} shows how it is used`, async () => {
    const { code, said } = await runs(main, args);
    equal(code, 1);
    match(said, /^usage: mail\./);
  });
}

Deno.test({
  name: "maildirMain() and mboxfileMain() do not run as root",
  ignore: !ROOT,
  async fn() {
    deepEqual(await runs(maildirMain, ["/nonexistent"]), { code: 1, said: "mail.maildir: Not for root\n" });
    deepEqual(await runs(mboxfileMain, ["/nonexistent"]), { code: 1, said: "mail.mboxfile: Not for root\n" });
  },
});

Deno.test({
  name: "maildirMain() delivers spam into .Junk with -j, and into the folder of the sub-address without",
  ignore: ROOT,
  fn: () =>
    withFolder(async (folder) => {
      equal((await runs(maildirMain, ["-j", `${folder}/box`])).code, 0);
      equal([...Deno.readDirSync(`${folder}/box/.Junk/new`)].length, 1);
      Deno.mkdirSync(`${folder}/Maildir/.tag`, { recursive: true });
      equal((await runs(maildirMain, [], { HOME: folder, EXTENSION: "tag" })).code, 0);
      equal([...Deno.readDirSync(`${folder}/Maildir/.tag/new`)].length, 1);
      equal((await runs(maildirMain, ["relative"])).code, 1);
    }),
});

/** An LMTP server that answers RCPT with `reply`; returns what it received. */
async function lmtp(reply: string, args: string[], env: Record<string, string>) {
  const received: string[] = [];
  let result = { code: -1, said: "" };
  await withFolder(async (folder) => {
    const path = `${folder}/lmtp`;
    await withServer(path, (socket) => {
      let data = false;
      socket.write("220 here\r\n");
      let rest = "";
      socket.on("data", (bytes) => {
        const lines = (rest + bytes).split("\r\n");
        rest = lines.pop()!;
        for (const line of lines) {
          received.push(line);
          if (data) {
            if (line !== ".") continue;
            data = false;
            socket.write("250 kept\r\n");
          } else if (line.startsWith("RCPT")) socket.write(`${reply}\r\n`);
          else if (line === "DATA") {
            data = true;
            socket.write("354 go\r\n");
          } else if (line === "QUIT") socket.end("221 bye\r\n");
          else socket.write("250 fine\r\n");
        }
      });
    }, async () => {
      result = await runs(lmtpMain, ["-d", path, ...args], env);
    });
  });
  return { ...result, received };
}

Deno.test("lmtpMain() passes the message on, by the user's name, the address, or those that are named", async () => {
  const env = { SENDER: "alice@example.net", USER: "bob", RECIPIENT: "bob@example.org" };
  const { code, received } = await lmtp("250 fine", ["-u", "-l", "me"], env);
  equal(code, 0);
  deepEqual(received.slice(0, 3), ["LHLO me", "MAIL FROM:<alice@example.net>", "RCPT TO:<bob>"]);
  deepEqual(received.slice(4, 8), ["X-Spam: yes", "Subject: hello", "", "..body"]);
  equal((await lmtp("250 fine", ["-r"], env)).received[2], "RCPT TO:<bob@example.org>");
  const two = await lmtp("250 fine", ["-f", "", "one@x", "two@x"], env);
  deepEqual(two.received.filter((line) => /^(MAIL|RCPT)/.test(line)).slice(0, 4), [
    "MAIL FROM:<>",
    "RCPT TO:<one@x>",
    "MAIL FROM:<>",
    "RCPT TO:<two@x>",
  ]);
});

Deno.test("lmtpMain() ends with 69 for a 5xx, with 75 for a 4xx, without a server and without SENDER", async () => {
  const env = { SENDER: "a@b", USER: "bob" };
  deepEqual((await lmtp("550 no", ["-u"], env)).code, 69);
  deepEqual((await lmtp("450 later", ["-u"], env)).code, 75);
  equal((await runs(lmtpMain, ["-d", "/nonexistent/lmtp", "-u"], env)).code, 75);
  equal((await runs(lmtpMain, ["-d", "/nonexistent/lmtp", "-u"], { USER: "bob" })).code, 75);
});
