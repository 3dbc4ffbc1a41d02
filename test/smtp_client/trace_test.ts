/** What a connection logs of itself while somebody wants to know, and that this may begin and end at any time. */

import assert from "node:assert/strict";
import { connectClient, uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { fakeServer } from "./fake_server.ts";
import { message } from "./with_client.ts";

Deno.test("connectClient(): trace and count begin and end in the middle of a session, and see no mail", async () => {
  const server = await fakeServer({ keywords: [] });
  const lines: string[] = [];
  const counts: string[] = [];
  let wanted = false;
  const client = await connectClient({
    to: { host: "127.0.0.1", port: server.port },
    timeouts: uniformTimeouts(5_000),
    get trace() {
      return wanted ? (way: string, line: string) => void lines.push(`${way} ${line}`) : undefined;
    },
    get count() {
      return wanted ? (what: string, bytes: number) => void counts.push(`${what} ${bytes}`) : undefined;
    },
  });
  try {
    await client.hello("me.example.org");
    assert.deepEqual([lines, counts], [[], []]);
    wanted = true;
    await client.command("NOOP");
    assert.equal(lines[0], ">>> NOOP");
    assert.match(lines[1]!, /^<<< 250 /);
    assert.equal(counts[0], "wrote 6");
    assert.match(counts[1]!, /^read \d+$/);
    await client.transaction(message(["a@x.net"], "Subject: secret\n\nsecret\n"));
    assert.ok(lines.includes(">>> DATA"));
    assert.deepEqual(lines.filter((line) => /secret/i.test(line)), []);
    wanted = false;
    const before = lines.length + counts.length;
    await client.command("NOOP");
    assert.equal(lines.length + counts.length, before);
  } finally {
    client.close();
    await server.close();
  }
});
