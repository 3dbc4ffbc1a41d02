/** `.forward` files with the real daemon: to another user, to a command and a file as the user, to an address that the relay gets. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, Mailbox, maildirConfig, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;
const USERS = ["bob", "eve", "pipe", "file", "dir", "away", "both", "lax", "big"];
/** The account that has uid 0. */
const CHIEF = "chief";

/** A home for each user, with what stands in it. */
function makeHomes(folder: string): string {
  const homes = join(folder, "homes");
  Deno.mkdirSync(homes);
  for (const user of USERS) {
    Deno.mkdirSync(join(homes, user), { mode: 0o755 });
    if (ROOT) Deno.chownSync(join(homes, user), uid, gid);
  }
  Deno.mkdirSync(join(homes, CHIEF), { mode: 0o755 });
  Deno.writeTextFileSync(join(homes, CHIEF, ".forward"), "|true\n");
  return homes;
}

function writeForward(folder: string, user: string, text: string, mode = 0o644, name = ".forward"): void {
  const path = join(folder, "homes", user, name);
  Deno.writeTextFileSync(path, text);
  Deno.chmodSync(path, mode);
  if (ROOT) Deno.chownSync(path, uid, gid);
}

const config = (next: number) => ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
  const homes = makeHomes(folder);
  const users = USERS.map((user) => `"${user}" = "${uid}:${gid}:${homes}/${user}"`).join(", ");
  return `table users { ${users}, "${CHIEF}" = "0:0:${homes}/${CHIEF}" }
listen on 127.0.0.1 port ${port} hostname mx.example.net
action "in" maildir "${mail}/%{user.username}" userbase <users>
action "out" relay host "smtp://127.0.0.1:${next}"
match from any for domain "example.net" action "in"
match from local for any action "out"
`;
};

/** Sends one message; returns the reply to each RCPT. */
async function send(port: number, to: readonly string[], subject: string): Promise<string[]> {
  const client = await Client.connect(port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.com>", "250");
  const replies: string[] = [];
  for (const rcpt of to) replies.push(await client.say(`RCPT TO:<${rcpt}>`, ""));
  if (replies.some((reply) => reply.startsWith("250"))) {
    await client.say("DATA", "354");
    await client.write(new TextEncoder().encode(`Subject: ${subject}\r\n\r\nhello\r\n`));
    await client.say(".", "250");
  }
  await client.say("QUIT", "221");
  client.close();
  return replies;
}

Deno.test("Users' .forward files decide where their mail goes", async (test) => {
  const receiver = await Daemon.start({ config: maildirConfig });
  try {
    await withDaemon({ config: config(receiver.port) }, async (daemon) => {
      const { folder, port } = daemon;
      const deliver = async (user: string, subject: string) => {
        const [reply] = await send(port, [`${user}@example.net`], subject);
        assert.match(reply!, /^250 /);
      };
      const refused = async (user: string, want: RegExp) => {
        const [reply] = await send(port, [`${user}@example.net`], "refused");
        assert.match(reply!, want);
      };

      await test.step("without a file to the user's mailbox, and where a new one says a moment later", async () => {
        await deliver("bob", "plain");
        assert.match(await daemon.mailbox("bob").text(), /Subject: plain/);
        writeForward(folder, "bob", "eve\n");
        // What was read is remembered for a second of real time.
        await new Promise((resolve) => setTimeout(resolve, 1100));
        await deliver("bob", "to eve");
        const text = await daemon.mailbox("eve").text();
        assert.match(text, /^Delivered-To: bob@example\.net$/m);
        assert.match(text, /Subject: to eve/);
        assert.equal(daemon.mailbox("bob").names().length, 1);
      });

      await test.step("to a command, as the user, in his home", async () => {
        writeForward(folder, "pipe", '"|id -u >uid; pwd >>uid; echo $USER $EXTENSION >>uid; cat >got; mv got done"\n');
        await deliver("pipe", "to a command");
        await daemon.logged(/ mda delivery .* user=pipe .*result="?Ok"?/);
        const at = join(folder, "homes", "pipe");
        assert.equal(Deno.readTextFileSync(join(at, "uid")), `${uid}\n${at}\npipe\n`);
        assert.match(Deno.readTextFileSync(join(at, "done")), /Subject: to a command/);
        assert.equal(Deno.statSync(join(at, "done")).uid, uid);
      });

      await test.step("to a file of the user's", async () => {
        const box = join(folder, "homes", "file", "box");
        writeForward(folder, "file", `${box}\n`);
        await deliver("file", "to a file");
        await daemon.logged(/ mda delivery .* user=file .*result="?Ok"?/);
        assert.match(Deno.readTextFileSync(box), /^From sender@example\.com /);
        assert.equal(Deno.statSync(box).uid, uid);
      });

      await test.step("to Maildirs of the user's, with a slash or by the word", async () => {
        const at = join(folder, "homes", "dir");
        writeForward(folder, "dir", `${at}/Mail/, "maildir:~/My, mail"\n`);
        await deliver("dir", "to a folder");
        for (const name of ["Mail", "My, mail"]) {
          const box = new Mailbox(join(at, name));
          assert.match(
            await box.text(),
            /^Return-Path: <sender@example\.com>\nDelivered-To: dir@[^]*Subject: to a folder/,
          );
          assert.equal(Deno.statSync(join(box.path, "new", box.names()[0]!)).uid, uid);
        }
      });

      await test.step("to a remote address: internal mail, which a rule for local mail relays", async () => {
        writeForward(folder, "away", "far@example.org\n");
        await deliver("away", "far away");
        assert.match(await receiver.mailbox("far").text(), /Subject: far away/);
      });

      await test.step("for a sub-address by its own file, with a copy", async () => {
        writeForward(folder, "both", "both, list@example.org\n", 0o644, ".forward+list");
        await deliver("both+list", "for a list");
        assert.match(await daemon.mailbox("both").text(), /Subject: for a list/);
        assert.match(await receiver.mailbox("list").text(), /Subject: for a list/);
      });

      await test.step("not at all when others may write the file, it is too big, or it is root's command", async () => {
        writeForward(folder, "lax", "eve\n", 0o666);
        await refused("lax", /^550 5\.2\.4 /);
        await daemon.logged(/insecure file: .*homes\/lax\/\.forward: others may write it/);
        writeForward(folder, "big", "#".repeat(5000));
        await refused("big", /^451 4\.2\.4 /);
        if (ROOT) {
          await refused(CHIEF, /^451 4\.3\.0 /);
          await daemon.logged(/a pipe may not run with the privileges of root/);
        }
      });
    });
  } finally {
    await receiver.stop();
    await receiver.remove();
  }
});
