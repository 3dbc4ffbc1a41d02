/** A mail to many domains goes to a smarthost in one transaction, and each domain stays a destination of its own to the administrator. */

import assert from "node:assert/strict";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { Daemon } from "./harness.ts";

const DOMAINS = 200;

Deno.test("200 domains behind one smarthost, by `host` and by a `domain` table", async (test) => {
  const domains = Array.from({ length: DOMAINS }, (_, at) => `d${at}.example`);
  let away = true;
  const sink = await fakeServer({
    keywords: ["PIPELINING"],
    reply: (line) => away && line.startsWith("RCPT") && line.includes("d7.example") ? "450 4.2.1 later" : undefined,
  });
  const daemon = await Daemon.start({
    config: ({ port }) =>
      `listen on socket
listen on 127.0.0.1 port ${port}
table routes { ${domains.map((domain) => `${domain} = "smtp://127.0.0.1:${sink.port}"`).join(", ")} }
action "list" relay host "smtp://127.0.0.1:${sink.port}"
action "map" relay domain <routes>
match from any mail-from "map@example.net" for any action "map"
match from any for any action "list"
`,
  });
  const transactions = () => sink.lines().filter((line) => line.startsWith("MAIL FROM")).length;
  const offered = () => sink.lines().filter((line) => line.startsWith("RCPT TO")).length;
  const send = async (from: string) => {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.say(`MAIL FROM:<${from}@example.net>`, "250");
    for (const domain of domains) await client.say(`RCPT TO:<reader@${domain}>`, "250");
    await client.say("DATA", "354");
    await client.write(new TextEncoder().encode("Subject: news\r\n\r\nnews\r\n"));
    await client.say(".", "250");
    client.close();
  };
  let failed = false;
  try {
    failed ||= !await test.step("`host`: one transaction; who is put off waits under its domain", async () => {
      await send("list");
      await daemon.logged(/result="Ok"/, 0, DOMAINS - 1);
      await daemon.logged(/to=<reader@d7\.example>.* result="TempFail"/);
      assert.deepEqual([transactions(), offered()], [1, DOMAINS]);
      const queue = (await daemon.tool("smtpctl", ["show", "queue"])).stdout;
      assert.match(queue, /reader@d7\.example/);
      away = false;
      const scheduled = await daemon.tool("smtpctl", ["schedule", "domain", "d7.example"]);
      assert.equal(scheduled.code, 0, scheduled.stderr);
      await daemon.logged(/to=<reader@d7\.example>.* result="Ok"/);
      assert.deepEqual([transactions(), offered()], [2, DOMAINS + 1]);
    });
    failed ||=
      !await test.step("`domain`: as many as with `host`, though the session waits for the first of them", async () => {
        await send("map");
        await daemon.logged(/result="Ok"/, 0, 2 * DOMAINS);
        assert.equal(offered(), 2 * DOMAINS + 1);
        assert.equal(transactions(), 3);
      });
  } finally {
    if (failed) console.error(daemon.log.slice(-20).join("\n"));
    await daemon.remove();
    await sink.close();
  }
});
