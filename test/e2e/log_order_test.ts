/** The log has a message before its delivery, however many come at once. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { DOMAIN, withDaemon } from "./harness.ts";

const SESSIONS = 8, MESSAGES = 15;

Deno.test("smtp message and smtp envelope stand before mda delivery of the same message", async () => {
  await withDaemon({}, async (daemon) => {
    await Promise.all(Array.from({ length: SESSIONS }, async () => {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      for (let number = 0; number < MESSAGES; number++) {
        await client.send("a@example.com", `kept@${DOMAIN}`, "Subject: x\r\n\r\nkept\r\n");
      }
      await client.say("QUIT", "221");
    }));
    await daemon.logged(/ mda delivery /, 0, SESSIONS * MESSAGES);
    const placeOf = (pattern: RegExp) => daemon.log.findIndex((line) => pattern.test(line));
    for (const [at, line] of daemon.log.entries()) {
      const evpid = / mda delivery evpid=([0-9a-f]{16}) /.exec(line)?.[1];
      if (evpid === undefined) continue;
      const message = placeOf(new RegExp(` smtp message msgid=${evpid.slice(0, 8)} `));
      const envelope = placeOf(new RegExp(` smtp envelope evpid=${evpid} `));
      assert.ok(message >= 0 && message < at, `${message} < ${at}: ${line}`);
      assert.ok(envelope >= 0 && envelope < at, `${envelope} < ${at}: ${line}`);
    }
  });
});
