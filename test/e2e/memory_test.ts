/** Large messages from many clients at once are streamed to disk: memory does not grow with them. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { DOMAIN, withDaemon } from "./harness.ts";

const CLIENTS = 20;
const MESSAGE_BYTES = 100 << 20;
const ALLOWED_GROWTH_BYTES = 150 << 20;

/** Resident memory, and its highest value so far, in bytes. */
function memory(pid: number): { now: number; peak: number } {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  return { now: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 };
}

Deno.test("A message of 100 MB from each of 20 clients at once adds less than 150 MB to the process", async () => {
  // Deliveries wait: this is about taking mail in. Each client first sends a small one, so that what is loaded once is loaded.
  await withDaemon({ args: ["-P", "mda"] }, async (daemon) => {
    const line = `${"m".repeat(1022)}\r\n`;
    const block = new TextEncoder().encode(line.repeat(256));
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(daemon.port)));
    for (const client of clients) {
      await client.say("EHLO client.example.com", "250");
      await client.send("sender@example.com", `small@${DOMAIN}`, `Subject: small\r\n\r\n${line}`);
    }
    const before = memory(daemon.pid);
    await Promise.all(clients.map(async (client, index) => {
      await client.begin("sender@example.com", `large${index}@${DOMAIN}`);
      await client.write(new TextEncoder().encode("Subject: large\r\n\r\n"));
      for (let sent = 0; sent < MESSAGE_BYTES; sent += block.length) await client.write(block);
      await client.say(".", "250");
    }));
    const growth = memory(daemon.pid).peak - before.now;
    for (const client of clients) client.close();
    console.log(`grew by ${Math.round(growth / 1e6)} MB from ${Math.round(before.now / 1e6)} MB`);
    assert.ok(growth < ALLOWED_GROWTH_BYTES, `grew by ${Math.round(growth / 1e6)} MB`);
    const queued = (await daemon.tool("mailq", [])).stdout.trim().split("\n");
    assert.equal(queued.length, 2 * CLIENTS, "all are queued");
  });
});
