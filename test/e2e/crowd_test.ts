/** More clients at once than there may be sessions, or descriptors: each gets a reply in time, and afterwards all is as before. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { type Daemon, maildirConfig, PROJECT, withDaemon, within } from "./harness.ts";

/** Who is not served after this time never is. */
const LIMIT_MS = 60_000;

/** Connections that were made together, and the first words that each received; "" for those that were closed without one. */
async function clients(daemon: Daemon, count: number): Promise<{ words: Promise<string>[]; leave(): void }> {
  const connections = await Promise.all(
    Array.from({ length: count }, () => Deno.connect({ hostname: "127.0.0.1", port: daemon.port })),
  );
  const words = connections.map(async (connection) => {
    const buffer = new Uint8Array(200);
    try {
      const size = await connection.read(buffer);
      return new TextDecoder().decode(buffer.subarray(0, size ?? 0)).slice(0, 9);
    } catch {
      return "";
    }
  });
  return { words, leave: () => connections.forEach((connection) => connection.close()) };
}

Deno.test("above max-sessions everybody gets 421, and those who are in are served", async () => {
  const config = (daemon: { port: number; mail: string }) => `smtp limit max-sessions 20\n${maildirConfig(daemon)}`;
  await withDaemon({ config }, async (daemon) => {
    const { words, leave } = await clients(daemon, 500);
    const received = await within(Promise.all(words), "a word for each");
    assert.equal(received.filter((word) => word === "220 mx.ex").length, 20);
    assert.equal(received.filter((word) => word === "421 4.3.2").length, 480);
    await daemon.logged(/^warn: smtp: all 20 sessions are taken: clients are turned away$/);
    assert.equal(daemon.log.filter((line) => line.includes("are taken")).length, 1, "one line for all");
    leave();
    await daemon.logged(/ smtp disconnected /, 0, 20);
    (await Client.admitted(daemon.port)).close();
  });
});

Deno.test("a process that has no descriptor left accepts again when it has", async () => {
  const limit = 200 + 30 * navigator.hardwareConcurrency;
  const program = ["sh", "-c", `ulimit -n ${limit}; exec "$0" "$@"`, join(PROJECT, "scripts/smtpd")] as const;
  await withDaemon({ program }, async (daemon) => {
    const { words, leave } = await clients(daemon, 2 * limit);
    // Some get their reply late or never, while the others stay.
    await within(Promise.race(words), "the first word");
    leave();
    await Promise.all(words);
    // The socket that stands still is found within seconds; until then its clients wait, or are reset.
    for (const end = performance.now() + LIMIT_MS;;) {
      try {
        const client = await Client.connect(daemon.port);
        await client.say("NOOP", "250");
        client.close();
        break;
      } catch (error) {
        assert.ok(performance.now() < end, String(error));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  });
});
