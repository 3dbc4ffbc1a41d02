/** A large queue in the real daemon: everything works and counts right. How long it takes is for `scripts/bench queue`. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { addDueMessage, domainOf, DOMAINS, fillQueue } from "../bench/queue_fill.ts";
import { LOCAL_DOMAIN } from "../bench/server.ts";
import { Client } from "./client.ts";
import { OWNER, withDaemon } from "./harness.ts";

const COUNT = 30_000;

Deno.test("thirty thousand queued envelopes are listed, found by domain, scheduled and removed, while mail comes and goes", async (test) => {
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `listen on 127.0.0.1 port ${port} hostname mx.example.org
action "in" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:1"
match from any for domain "${LOCAL_DOMAIN}" action "in"
match from any for any action "out"
`;
  await withDaemon({ config }, async (daemon) => {
    assert.equal(await daemon.stop(), 0);
    fillQueue(join(daemon.folder, "spool"), COUNT);
    addDueMessage(join(daemon.folder, "spool"), "last", OWNER);
    await daemon.launch();
    const smtpctl = async (...args: string[]) => {
      const ran = await daemon.tool("smtpctl", args);
      assert.equal(ran.code, 0, ran.stderr);
      return ran.stdout;
    };
    await test.step("what start-up comes to last is delivered", async () => {
      await daemon.mailbox("last").message();
    });
    await test.step("show queue has a line for each, in order", async () => {
      const lines = (await smtpctl("show", "queue")).trimEnd().split("\n");
      assert.equal(lines.length, COUNT);
      assert.ok(lines.every((line, index) => index === 0 || lines[index - 1]! < line));
    });
    await test.step("mail comes and goes while a domain is scheduled, paused and removed", async () => {
      const many = COUNT / DOMAINS;
      const removing = smtpctl("remove", "domain", domainOf(0));
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("sender@example.com", `fresh@${LOCAL_DOMAIN}`, "Subject: fresh\r\n\r\nHello\r\n");
      client.close();
      await daemon.mailbox("fresh").message();
      assert.equal(await removing, `${many} envelopes removed\n`);
      assert.equal(await smtpctl("pause", "envelope", "domain", domainOf(1)), `${many} envelopes paused\n`);
      assert.equal(await smtpctl("schedule", "domain", domainOf(1)), "0 envelope scheduled\n", "they are paused");
      assert.equal(await smtpctl("schedule", "domain", domainOf(2)), `${many} envelopes scheduled\n`);
      assert.equal(await smtpctl("remove", "all"), `${COUNT - many} envelopes removed\n`);
    });
  });
});
