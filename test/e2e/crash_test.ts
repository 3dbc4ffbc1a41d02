/** `kill -9` under load, 50 times: what was acknowledged is there afterwards, whole. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Client } from "./client.ts";
import { Daemon, DOMAIN } from "./harness.ts";

const KILLS = 50;
const CLIENTS = 8;

/** A body that can be checked by itself. */
function message(id: string, size: number): string {
  const body = `${id} ${"x".repeat(60)}\r\n`.repeat(Math.ceil(size / (id.length + 63)));
  const digest = createHash("sha256").update(body.replaceAll("\r\n", "\n")).digest("hex");
  return `From: sender@example.com\r\nDate: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <${id}@example.com>\r\n` +
    `X-Id: ${id}\r\nX-Digest: ${digest}\r\n\r\n${body}`;
}

/** Sends until the daemon dies. Counts an id as acknowledged when its 250 was read, not before. */
async function hammer(
  port: number,
  name: string,
  acknowledged: Set<string>,
  onacknowledged: () => void,
): Promise<void> {
  for (let count = 0;;) {
    let client: Client | null = null;
    try {
      client = await Client.connect(port);
      await client.say("EHLO client.example.com", "250");
      for (;;) {
        const id = `${name}-${count++}`;
        // Mostly small; now and then one of several chunks, so that a kill meets half-written bodies.
        await client.send("sender@example.com", `crash@${DOMAIN}`, message(id, count % 20 === 0 ? 600_000 : 1500));
        acknowledged.add(id);
        onacknowledged();
      }
    } catch {
      // The daemon is gone; so is what it did not acknowledge, or not: both are right.
      return;
    } finally {
      client?.close();
    }
  }
}

/** Kills the daemon after `wanted` acknowledgements of this round: where in its work that meets it is up to chance. */
async function round(daemon: Daemon, number: number, acknowledged: Set<string>): Promise<void> {
  const wanted = 3 + (number * 37) % 60;
  let seen = 0;
  let enough: () => void;
  const reached = new Promise<void>((resolve) => enough = resolve);
  const clients = Array.from(
    { length: CLIENTS },
    (_, index) => hammer(daemon.port, `${number}-${index}`, acknowledged, () => ++seen === wanted && enough()),
  );
  await Promise.race([
    reached,
    Promise.all(clients).then(() => Promise.reject(new Error(`Round ${number} stopped early`))),
  ]);
  await daemon.kill();
  await Promise.all(clients);
}

Deno.test("Fifty kills under load lose nothing that was acknowledged", async () => {
  const daemon = await Daemon.start();
  try {
    const acknowledged = new Set<string>();
    for (let number = 0; number < KILLS; number++) {
      await round(daemon, number, acknowledged);
      await daemon.launch();
    }
    // What is left in the queue goes out now, without waiting for its turn.
    await daemon.tool("smtpctl", ["schedule", "all"]);
    const mailbox = daemon.mailbox("crash");
    const known = new Map<string, string>();
    const missing = () => {
      for (const name of mailbox.names()) {
        if (!known.has(name)) known.set(name, check(mailbox.read(name)));
      }
      const delivered = new Set(known.values());
      return [...acknowledged].filter((id) => !delivered.has(id));
    };
    for (let left = missing(); left.length > 0; left = missing()) await mailbox.messages(known.size + 1);
    const doubled = known.size - new Set(known.values()).size;
    console.log(`${acknowledged.size} acknowledged, ${new Set(known.values()).size} delivered, ${doubled} twice`);
    // A kill between the rename into new/ and the outcome's commit delivers again, into the file of the same name.
    assert.equal(doubled, 0, "nothing is delivered twice");
  } finally {
    console.log(daemon.log.slice(-5).join("\n"));
    assert.equal(await daemon.stop(), 0);
    await daemon.remove();
  }
});

/** The id of a delivered message; throws when it is not whole. */
function check(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  const [, id, digest, body] = /^X-Id: (\S+)\nX-Digest: (\S+)\n\n([^]*)$/m.exec(text) ?? [];
  assert.ok(
    id !== undefined && digest !== undefined && body !== undefined,
    `a message is whole: ${text.slice(0, 300)}`,
  );
  assert.equal(createHash("sha256").update(body).digest("hex"), digest, `${id} is whole`);
  return id;
}
