/**
 * A queue under load that waits to be killed; run by crash_test.ts. Prints on stdout what it has acknowledged: `A id` after `committed`, `D id` before
 * an outcome "ok" is sent, `F id` before a failure is.
 */

import { hex8, messageOf, random32 } from "../../src/envelope/mod.ts";
import { CHUNK_BYTES } from "../../src/protocol/smtp_queue.ts";
import { contentFor, expanded, jobOf, openQueue } from "./harness.ts";

const harness = await openQueue(Deno.args[0]!);
const encoder = new TextEncoder();
const say = (word: string, id: string) => void Deno.stdout.writeSync(encoder.encode(`${word} ${id}\n`));

/** A body that can be derived from its message's id alone. Every eighth message is of several chunks. */
function bodyOf(message: string): Uint8Array<ArrayBuffer> {
  const header = `X-Message: ${message}\nSubject: load\n\n`;
  const length = parseInt(message.slice(-1), 16) % 8 === 0 ? 2 * CHUNK_BYTES + 1000 : 2000;
  return encoder.encode(header + message.repeat(Math.ceil(length / 8)).slice(0, length));
}

const credit = new Map<string, () => void>();
harness.smtp.onmessage = (message) => {
  if (message.type === "ids") harness.ids.push(...message.ids);
  else if (message.type === "credit") credit.get(message.message)?.();
  else if (message.type === "committed") {
    say("A", message.message);
    void send();
  }
};

async function send(): Promise<void> {
  const message = harness.ids.pop()!;
  const body = bodyOf(message);
  let at = 0;
  for (; body.length - at > CHUNK_BYTES; at += CHUNK_BYTES) {
    harness.smtp.send({ type: "chunk", message, bytes: body.slice(at, at + CHUNK_BYTES) });
    await new Promise<void>((resolve) => credit.set(message, resolve));
  }
  const envelopes = [contentFor(message, { createdAt: Date.now() })];
  harness.smtp.send({ type: "commit", message, tail: body.slice(at), envelopes });
}

// Of eight messages, three are delivered, three bounce, two stay; notices are written at once.
harness.scheduler.onmessage = (message) => {
  if (message.type !== "enqueued") return;
  for (const { id, agent } of message.tickets) {
    const draw = parseInt(id.slice(8), 16) % 8;
    if (agent === "bounce") harness.scheduler.send({ type: "dsn", message: messageOf(id), ids: [id] });
    else if (agent === "mda" && draw < 3) {
      harness.delivery.send(jobOf("mda", [id]));
      say("D", id);
      harness.delivery.send({ type: "outcome", id, outcome: { result: "ok", text: "" } });
    } else if (agent === "mda" && draw < 6) {
      harness.delivery.send(jobOf("mda", [id]));
      say("F", id);
      const outcome = { result: "permfail", text: "550 no", status: { class: 5, code: "1.1" } } as const;
      harness.delivery.send({ type: "outcome", id, outcome });
    }
  }
};
harness.lookup.onmessage = (question) => {
  if (question.type !== "expand") return;
  const dest = { local: "alice", domain: "example.net" };
  const targets = [{ agent: "mta", action: "out", dest }] as const;
  harness.lookup.send(expanded(question, { ok: true, targets, internal: [false] }));
};
// What an earlier life left is sent again by the queue, before this line: take it up too.
for (const message of harness.scheduler.received.splice(0)) harness.scheduler.onmessage(message);
say("R", hex8(random32()));
for (let i = 0; i < 20; i++) void send();
