/** Stored mail at rest: compressed, encrypted, rotated keys, altered records, databases of the version before. */

import assert from "node:assert/strict";
import type { EnvelopeId } from "../../src/envelope/mod.ts";
import { DatabaseSync } from "node:sqlite";
import type { QueueSettings } from "../../src/protocol/mod.ts";
import { Damaged, Records, type StoredChunk } from "../../src/queue/store/records.ts";
import { Store } from "../../src/queue/store/store.ts";
import {
  contentFor,
  enqueue,
  list,
  logged,
  MTA,
  NOON,
  open,
  openQueue,
  text,
  ticketsOf,
  typed,
  utf8,
} from "./harness.ts";
import { msgid } from "../ids.ts";

const OLD = utf8("0123456789abcdef0123456789abcdef"), NEW = utf8("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
const LONG = `Subject: lines\n\n${"The same line again and again\n".repeat(2000)}`;

async function withSpool(test: (spool: string) => Promise<void>): Promise<void> {
  const spool = await Deno.makeTempDir();
  try {
    await test(spool);
  } finally {
    await Deno.remove(spool, { recursive: true });
  }
}

async function withHarness(
  spool: string,
  more: Partial<QueueSettings>,
  test: (harness: Awaited<ReturnType<typeof openQueue>>) => Promise<void>,
): Promise<void> {
  const harness = await openQueue(spool, more);
  try {
    await test(harness);
  } finally {
    harness.stop();
  }
}

function stored(spool: string): string {
  let all = "";
  for (const { name } of Deno.readDirSync(spool)) {
    all += new TextDecoder("latin1").decode(Deno.readFileSync(`${spool}/${name}`));
  }
  return all;
}

const keys = (current: Uint8Array<ArrayBuffer> | null, ...old: Uint8Array<ArrayBuffer>[]) => ({
  recordKeys: { current, old },
});

Deno.test("an encrypted queue shows nothing of its mail to who reads the disk, and all of it to the agents", async () => {
  await withSpool(async (spool) => {
    await withHarness(spool, keys(NEW), async (harness) => {
      const [content] = await enqueue(harness, LONG, MTA);
      harness.relay.send({
        type: "outcome",
        id: content!.id,
        outcome: { result: "tempfail", text: "450 4.2.1 bob sleeps", status: { class: 4, code: "2.1" } },
      });
      await harness.scheduler.next(typed("settled"));
    });
    const disk = stored(spool);
    // None so short that random octets may spell it.
    for (const secret of ["alice", "bob@exam", "bob sleeps", "xample.org", "The same line", text(NEW)]) {
      assert.equal(disk.includes(secret), false, secret);
    }
    await withHarness(spool, keys(NEW), async (harness) => {
      const [ticket] = await ticketsOf(harness);
      assert.deepEqual([ticket!.agent, ticket!.lane, ticket!.tries], ["mta", "example.org", 1]);
      const [envelope] = await list(harness);
      assert.equal(envelope!.errorLine, "450 4.2.1 bob sleeps");
      const opened = await open(harness, [envelope!]);
      assert.equal(text(opened.first), LONG);
    });
  });
});

Deno.test("a key that is replaced still opens what it closed, until that is gone", async () => {
  await withSpool(async (spool) => {
    let first: EnvelopeId;
    await withHarness(spool, keys(OLD), async (harness) => void (first = (await enqueue(harness, "old\n"))[0]!.id));
    await withHarness(spool, keys(NEW, OLD), async (harness) => {
      await enqueue(harness, "new\n");
      assert.equal((await list(harness)).length, 2);
    });
    assert.throws(
      () => new Store(spool, new Records({ keys: { current: NEW, old: [] } })),
      /^Error: 1 queued message is encrypted with another key/,
    );
    await assert.rejects(
      openQueue(spool, { recordKeys: null }),
      /^Error: 2 queued messages are encrypted with another key/,
    );
    await withHarness(spool, keys(NEW, OLD), async (harness) => {
      harness.control.send({ type: "remove", call: 1, target: { envelope: first }, after: "" });
      await harness.control.next(typed("removed"));
    });
    await withHarness(spool, keys(NEW), async (harness) => assert.equal((await list(harness)).length, 1));
  });
});

Deno.test("encryption and compression can be switched on and off: what lies there is read as it was written", async () => {
  await withSpool(async (spool) => {
    for (const more of [{}, { compression: true }, { compression: true, ...keys(NEW) }, keys(null, NEW)]) {
      await withHarness(spool, more, async (harness) => void await enqueue(harness, LONG));
    }
    await withHarness(spool, keys(null, NEW), async (harness) => {
      const envelopes = await list(harness);
      assert.equal(envelopes.length, 4);
      for (const envelope of envelopes) assert.equal(text((await open(harness, [envelope])).first), LONG);
    });
  });
});

Deno.test("compression makes bodies small, leaves alone what cannot become smaller, and keeps every octet", async () => {
  const records = new Records({ compression: true }), plain = new Records();
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  for (const [bytes, smaller] of [[utf8(LONG), true], [noise, false], [utf8("short\n"), false]] as const) {
    const chunk = await records.encodeChunk(1, bytes);
    assert.equal(chunk.bytes.length < bytes.length / 2, smaller);
    assert.deepEqual(await plain.decodeChunk(1, chunk), bytes);
  }
});

Deno.test("a sealed record is read at its own place only, and not when a bit of it is altered", async () => {
  const records = new Records({ compression: true, keys: { current: NEW, old: [OLD] } });
  for (const body of [utf8(LONG), crypto.getRandomValues(new Uint8Array(60_000))]) {
    const chunk = await records.encodeChunk(7, body);
    const decode = async (key: number, { bytes, form }: StoredChunk) =>
      await records.decodeChunk(key, { bytes, form, sum: null });
    assert.deepEqual(await records.decodeChunk(7, chunk), body);
    await assert.rejects(decode(8, chunk), Damaged);
    await assert.rejects(decode(7, { ...chunk, form: chunk.form ^ 1 }), Damaged);
    for (const at of [0, 6, 17, 18, chunk.bytes.length - 17, chunk.bytes.length - 1]) {
      const altered = chunk.bytes.slice();
      altered[at]! ^= 1;
      await assert.rejects(decode(7, { ...chunk, bytes: altered }), Damaged);
    }
  }
  const sealed = records.encryptContent("envelope a", "{}")!;
  assert.equal(records.decryptContent("envelope a", sealed), "{}");
  assert.throws(() => records.decryptContent("envelope b", sealed), Damaged);
  for (let at = 0; at < sealed.length; at++) {
    const altered = sealed.slice();
    altered[at]! ^= 1;
    assert.throws(() => records.decryptContent("envelope a", altered), Damaged);
  }
  assert.throws(() => records.decryptContent("envelope a", sealed.slice(0, 20)), Damaged);
  assert.notDeepEqual(records.encryptContent("envelope a", "{}"), sealed, "no nonce comes twice");
});

/** As version 1 made it. */
const VERSION_1 = `
CREATE TABLE messages (id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, chunks INTEGER NOT NULL) STRICT;
CREATE TABLE envelopes (
  message INTEGER NOT NULL, id INTEGER NOT NULL, agent TEXT NOT NULL, action TEXT NOT NULL, lane TEXT NOT NULL,
  created_at INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, last_try_at INTEGER NOT NULL DEFAULT 0,
  last_bounce_at INTEGER NOT NULL DEFAULT 0, error_line TEXT NOT NULL DEFAULT '', status TEXT NOT NULL DEFAULT '',
  suspended INTEGER NOT NULL DEFAULT 0, facts TEXT NOT NULL, PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE chunks (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE loose (message INTEGER PRIMARY KEY) STRICT;
PRAGMA user_version = 1;`;

Deno.test("a spool of version 1 opens, with all its mail; one of a newer version is refused and left alone", async () => {
  await withSpool(async (spool) => {
    const content = contentFor(msgid("0000abcd"), MTA);
    const database = new DatabaseSync(`${spool}/queue.db`);
    database.exec(`PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; ${VERSION_1}`);
    const number = parseInt(content.id.slice(8), 16);
    database.prepare("INSERT INTO messages VALUES (?, 4, 1)").run(0xabcd);
    database.prepare("INSERT INTO chunks VALUES (?, ?)").run(0xabcd * 2 ** 20, utf8("old\n"));
    database.prepare(
      "INSERT INTO envelopes (message, id, agent, action, lane, created_at, tries, facts) VALUES (?, ?, 'mta', 'out', 'example.org', ?, 3, ?)",
    ).run(0xabcd, number, NOON, JSON.stringify(content));
    database.close();
    await withHarness(spool, {}, async (harness) => {
      assert.deepEqual((await ticketsOf(harness)).map(({ id, tries }) => [id, tries]), [[content.id, 3]]);
      assert.equal(text((await open(harness, [content])).first), "old\n");
      await enqueue(harness);
      assert.equal((await list(harness)).length, 2);
      assert.deepEqual(logged(harness), []);
    });
    const newer = new DatabaseSync(`${spool}/queue.db`);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    await assert.rejects(openQueue(spool), /has format 99, this program knows formats up to 2: use the newer program/);
  });
});

Deno.test("an error that was noted under a key that is gone harms no mail; a text under it still asks for the key", async () => {
  await withSpool(async (spool) => {
    const error = { result: "tempfail", text: "450 later", status: { class: 4, code: "2.1" } } as const;
    let id: EnvelopeId;
    await withHarness(spool, {}, async (harness) => void (id = (await enqueue(harness, "plain\n"))[0]!.id));
    await withHarness(spool, keys(NEW), async (harness) => {
      harness.delivery.send({ type: "outcome", id, outcome: error });
      await harness.scheduler.next(typed("settled"));
    });
    await withHarness(spool, {}, async (harness) => {
      const [envelope] = await list(harness);
      assert.equal(
        envelope!.errorLine,
        "(the last error cannot be read: it is encrypted with a key that is not known)",
      );
      assert.equal(text((await open(harness, [envelope!])).first), "plain\n");
    });
    let sealed: EnvelopeId;
    await withHarness(spool, keys(OLD), async (harness) => void (sealed = (await enqueue(harness, "sealed\n"))[0]!.id));
    await withHarness(spool, keys(NEW, OLD), async (harness) => {
      harness.delivery.send({ type: "outcome", id: sealed, outcome: { ...error, result: "permfail" } });
      await harness.scheduler.next(typed("settled"));
    });
    // Its bounce is of the new key, its text of the old one.
    await assert.rejects(openQueue(spool, keys(NEW)), /^Error: 1 queued message is encrypted with another key/);
  });
});
