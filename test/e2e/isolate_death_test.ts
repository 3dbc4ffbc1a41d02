/**
 * Isolates die: the queue in the middle of a message, whose session get 421; those that local clients speak to. Nothing acknowledged is
 * lost, and mail flows again.
 */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { DOMAIN, ownDaemon, withDaemon } from "./harness.ts";

const MORTAL = ownDaemon("e2e/mortal_daemon.ts");

const encoder = new TextEncoder();

Deno.test("when the queue isolate dies, open transactions end with 421 and acknowledged mail stays", async () => {
  await withDaemon({ program: MORTAL, args: ["-P", "mda"] }, async (daemon) => {
    const before = await Client.connect(daemon.port);
    await before.say("EHLO client.example.com", "250");
    for (const id of ["1", "2", "3"]) {
      await before.send("a@example.com", `kept@${DOMAIN}`, `Subject: ${id}\r\n\r\nkept\r\n`);
    }
    assert.equal((await queued(daemon)).length, 3);

    const victim = await Client.connect(daemon.port);
    await victim.say("EHLO client.example.com", "250");
    await victim.begin("a@example.com", `lost@${DOMAIN}`);
    // More than the credit of a session: parts of it are in the queue isolate when it dies.
    await victim.write(encoder.encode("Subject: half\r\n\r\n" + `${"x".repeat(76)}\r\n`.repeat(4000)));
    await Deno.writeTextFile(`${daemon.folder}/spool/die`, "");
    await daemon.logged(/isolate queue ended and starts again in 100 ms: .*made to die/);
    await victim.reply("421");

    // The same daemon, the same other sessions: what was acknowledged is there, and new mail is taken.
    await before.send("a@example.com", `kept@${DOMAIN}`, "Subject: 4\r\n\r\nkept\r\n");
    assert.equal((await queued(daemon)).length, 4);
    assert.equal((await daemon.tool("smtpctl", ["resume", "mda"])).code, 0);
    const messages = await daemon.mailbox("kept").messages(4);
    assert.equal(
      new Set(messages.map((bytes) => /^Subject: (\d)$/m.exec(new TextDecoder().decode(bytes))![1])).size,
      4,
    );
    assert.deepEqual(daemon.mailbox("lost").names(), []);
  });
});

Deno.test("when smtp and control die, who speaks to them over a unix socket sees the end, and both are back", async () => {
  await withDaemon({ program: MORTAL }, async (daemon) => {
    const local = await Client.over(
      await Deno.connect({ transport: "unix", path: `${daemon.folder}/smtpd.smtp.sock` }),
    );
    await local.say("EHLO localhost", "250");
    await local.begin("a@example.com", `lost@${DOMAIN}`);
    assert.equal((await daemon.tool("smtpctl", ["trace", "smtp"])).code, 0);
    await daemon.logged(/isolate smtp ended and starts again in 100 ms: .*made to die/);
    await assert.rejects(local.reply(), /The server closed|reset/);
    local.close();
    // What is tried again meets the new isolate.
    const sent = await daemon.tool("sendmail", ["-f", "a@example.com", `kept@${DOMAIN}`], "Subject: kept\n\nkept\n");
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(await daemon.mailbox("kept").text(), /^Subject: kept$/m);

    const asked = await daemon.tool("smtpctl", ["trace", "stat"]);
    assert.deepEqual([asked.code, asked.stderr], [1, "smtpctl: The daemon closed the connection before it answered\n"]);
    await daemon.logged(/isolate control ended and starts again in 100 ms: .*made to die/);
    for (let tries = 0;; tries++) {
      const asked = await daemon.tool("smtpctl", ["show", "status"]);
      if (asked.code === 0) break;
      assert.match(asked.stderr, /try again soon|closed the connection/);
      assert.ok(tries < 50, "control is back");
    }
    assert.deepEqual(daemon.mailbox("lost").names(), []);
  });
});

Deno.test("an smtp isolate that loops takes no new clients with it", async () => {
  await withDaemon({ program: MORTAL }, async (daemon) => {
    assert.equal((await daemon.tool("smtpctl", ["trace", "io"])).code, 0);
    // At once, before anybody can have noticed: those that it would have got go to another, or to the one in its place.
    await Promise.all(Array.from({ length: 8 }, async (_, number) => {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", `kept@${DOMAIN}`, `Subject: ${number}\r\n\r\nkept\r\n`);
      await client.say("QUIT", "221");
    }));
    // Where there is another isolate nobody has waited for the one that will be in its place.
    const replaced = daemon.log.some((line) => /isolate smtp ended .*It does not answer/.test(line));
    assert.ok(!replaced || navigator.hardwareConcurrency === 1, daemon.log.join("\n"));
    await daemon.mailbox("kept").arrived(8);
  });
});

async function queued(daemon: { tool(name: string, args: readonly string[]): Promise<{ stdout: string }> }) {
  const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
  return stdout.split("\n").filter((line) => line !== "");
}
