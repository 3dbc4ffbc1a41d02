/** Many clients at once: nothing is lost, nothing is doubled. */

import assert from "node:assert/strict";
import { DOMAIN, run, withDaemon } from "./harness.ts";

const MESSAGES = 2000;

Deno.test("smtp-source's 2,000 messages from 20 clients are all delivered, once each", async () => {
  await withDaemon({}, async (daemon) => {
    // -N numbers the recipients: user 1 to user 2,000 get a message each.
    const source = await run("smtp-source", [
      ...["-s", "20", "-m", String(MESSAGES), "-l", "2048", "-N"],
      ...["-f", "sender@example.com", "-t", `user@${DOMAIN}`, `127.0.0.1:${daemon.port}`],
    ]);
    assert.equal(source.code, 0, source.stderr);
    const delivery = / mda delivery evpid=([0-9a-f]{16}) .* rcpt=<(\d*user\d*)@\S+> .* result=Ok /;
    const accepted = new Set<string>(), delivered = new Map<string, string>();
    // Reads the log as it grows until every accepted envelope has its delivery.
    for (let at = 0; delivered.size < MESSAGES; at++) {
      const line = await daemon.logged(/ smtp envelope | mda delivery /, at);
      at = daemon.log.indexOf(line, at);
      const evpid = / smtp envelope evpid=([0-9a-f]{16}) /.exec(line)?.[1];
      if (evpid !== undefined) accepted.add(evpid);
      const match = delivery.exec(line);
      if (match !== null) {
        assert.ok(!delivered.has(match[1]!), `envelope ${match[1]} is delivered once`);
        delivered.set(match[1]!, match[2]!);
      }
    }
    assert.equal(accepted.size, MESSAGES);
    assert.deepEqual(new Set(delivered.keys()), accepted);
    assert.equal(new Set(delivered.values()).size, MESSAGES, "each recipient had one message");
    for (const user of delivered.values()) {
      const names = daemon.mailbox(user).names();
      assert.equal(names.length, 1, `${user} has one message`);
      assert.ok(daemon.mailbox(user).read(names[0]!).length > 2048, `${user}'s message is whole`);
    }
    assert.equal((await daemon.tool("mailq", [])).stdout, "", "the queue is empty");
  });
});
