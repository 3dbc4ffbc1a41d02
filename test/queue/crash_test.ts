/** Kills a queue under load at random moments, twenty times on one spool, and accounts for every message that was acknowledged. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  type Envelope,
  type EnvelopeCursor,
  type EnvelopeId,
  type MessageId,
  messageOf,
} from "../../src/envelope/mod.ts";
import { list, openQueue, type QueueHarness, text, typed } from "./harness.ts";

const KILLS = 20;

/** What the lives of the queue have said. */
interface Promised {
  readonly acknowledged: Set<string>;
  /** Envelopes by message whose delivery was reported, and those whose failure was. */
  readonly delivered: Set<string>;
  readonly failed: Set<string>;
}

/** One life of the queue: it is killed so many milliseconds after it has acknowledged so many messages, however slow the machine is. */
async function live(spool: string, promised: Promised, end: { acknowledged: number; ms: number }): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", new URL("crash_child.ts", import.meta.url).pathname, spool],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let rest = "", acknowledged = 0, armed = false;
  for await (const bytes of child.stdout) {
    const lines = (rest + text(bytes)).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [word, id] = line.split(" ") as [string, EnvelopeId];
      if (word === "A") {
        promised.acknowledged.add(id);
        acknowledged++;
      }
      if (word === "D") promised.delivered.add(messageOf(id));
      if (word === "F") promised.failed.add(messageOf(id));
      if (!armed && acknowledged >= end.acknowledged) {
        armed = true;
        setTimeout(() => child.kill("SIGKILL"), end.ms);
      }
    }
  }
  assert.equal((await child.status).signal, "SIGKILL", "it ran until it was killed");
}

async function bodyOf(harness: QueueHarness, message: MessageId): Promise<string> {
  let body = "";
  for (let index = 0, chunks = 1; index < chunks; index++) {
    harness.control.send({ type: "body", call: 1, message, index });
    const answer = await harness.control.next(typed("body"));
    if (answer.bytes === null) return "";
    chunks = answer.chunks;
    body += text(answer.bytes);
  }
  return body;
}

async function allEnvelopes(harness: QueueHarness): Promise<Envelope[]> {
  const all: Envelope[] = [];
  for (let after: EnvelopeCursor = "";;) {
    harness.control.send({ type: "list", call: 1, message: null, after, limit: 1000 });
    const { envelopes } = await harness.control.next(typed("listed"));
    all.push(...envelopes);
    if (envelopes.length === 0) return all;
    after = envelopes[envelopes.length - 1]!.id;
  }
}

Deno.test(`${KILLS} times SIGKILL under load: every acknowledged message is delivered, queued or bounced, once`, async () => {
  const spool = await Deno.makeTempDir();
  const promised: Promised = { acknowledged: new Set(), delivered: new Set(), failed: new Set() };
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      await live(spool, promised, { acknowledged: 6 + Math.floor(Math.random() * 40), ms: Math.random() * 20 });
    }
    const harness = await openQueue(spool);
    const originals = new Set<string>(), bounces = new Set<string>(), notices = new Set<string>();
    for (const { id, agent, sender } of await allEnvelopes(harness)) {
      const message = messageOf(id);
      const body = await bodyOf(harness, message);
      const about = /^X-Message: (\w+)$/m.exec(body)?.[1] ?? "";
      const kind = agent === "bounce" ? bounces : sender === null ? notices : originals;
      if (kind !== notices) {
        assert.equal(about, message);
        assert.equal(body.slice(body.indexOf("\n\n") + 2).replaceAll(message, ""), "", "the body is its own");
        assert.ok(body.length >= 2000, "the body is whole");
      }
      assert.ok(!kind.has(about), "nothing is there twice");
      kind.add(about);
    }
    assert.ok(promised.acknowledged.size > KILLS * 5, `only ${promised.acknowledged.size} messages were acknowledged`);
    for (const message of promised.acknowledged) {
      const places = [originals, bounces, notices].filter((set) => set.has(message)).length;
      assert.ok(places <= 1, `${message} is in ${places} places`);
      assert.ok(places === 1 || promised.delivered.has(message), `${message} was acknowledged and is lost`);
      if (!originals.has(message) && promised.failed.has(message)) {
        assert.ok(bounces.has(message) || notices.has(message));
      }
    }
    assert.ok((await list(harness)).length > 0);
    harness.stop();
    checkRows(spool);
  } finally {
    await Deno.remove(spool, { recursive: true });
  }
});

/** No envelope without a message, no message without envelopes or chunks, no chunk of nobody. */
function checkRows(spool: string): void {
  const database = new DatabaseSync(`${spool}/queue.db`);
  const count = (sql: string) => (database.prepare(`SELECT count(*) AS n FROM ${sql}`).get() as { n: number }).n;
  assert.equal(count("envelopes WHERE message NOT IN (SELECT id FROM messages)"), 0);
  assert.equal(count("messages WHERE id NOT IN (SELECT message FROM envelopes)"), 0);
  assert.equal(
    count("messages WHERE chunks <> (SELECT count(*) FROM chunks WHERE key / 1048576 = messages.id)"),
    0,
  );
  const owned = "SELECT id FROM messages UNION SELECT message FROM loose";
  assert.equal(count(`chunks WHERE key / 1048576 NOT IN (${owned})`), 0);
  assert.equal((database.prepare("PRAGMA integrity_check").get() as { integrity_check: string }).integrity_check, "ok");
  database.close();
}
