/** A database that is torn: pages zeroed or altered, the file cut short, its head lost. What can be read goes on, nothing is deleted. */

import assert from "node:assert/strict";
import { type MessageId, messageOf } from "../../src/envelope/mod.ts";
import { DatabaseSync } from "node:sqlite";
import type { QueueToAgent } from "../../src/protocol/mod.ts";
import { copySync } from "./copy.ts";
import {
  contentFor,
  enqueue,
  list,
  logged,
  MTA,
  open,
  openQueue,
  type QueueHarness,
  text,
  typed,
  utf8,
} from "./harness.ts";

const PAGE = 16_384;
const MESSAGES = 120;

interface Spool {
  readonly folder: string;
  /** Bodies by id of the envelope. */
  readonly bodies: ReadonlyMap<string, string>;
}

/** A spool with some mail, small and large. */
async function fill(folder: string): Promise<Spool> {
  const bodies = new Map<string, string>();
  const harness = await openQueue(folder);
  for (let i = 0; i < MESSAGES; i++) {
    const body = `Subject: ${i}\n\n${`line ${i}\n`.repeat(i % 10 === 0 ? 4000 : 100)}`;
    for (const content of await enqueue(harness, body, MTA, {})) bodies.set(content.id, body);
  }
  harness.stop();
  return { folder, bodies };
}

/** Opens a damaged spool as the daemon does: a queue that finds its database damaged is replaced. */
async function revive(folder: string): Promise<{ harness: QueueHarness; log: string[] }> {
  const log: string[] = [];
  for (let life = 0; life < 3; life++) {
    const harness = await openQueue(folder);
    const loaded = harness.scheduler.next(typed("loaded")).then(() => null);
    if (await Promise.race([loaded, harness.ended.then(() => "ended")]) === null) {
      log.push(...logged(harness));
      return { harness, log };
    }
    log.push(...logged(harness));
    harness.stop();
  }
  throw new Error("It is never well again");
}

async function damagedLines(harness: QueueHarness): Promise<readonly string[]> {
  harness.control.send({ type: "damaged", call: 7 });
  return (await harness.control.next(typed("damaged"))).entries.map(({ id, foundAt, reason }) =>
    `${id}|${new Date(foundAt).toISOString()}|${reason}`
  );
}

/** What is listed is what was queued; what can be opened is whole; the rest is accounted for; new mail is taken. */
async function check({ folder, bodies }: Spool): Promise<{ opened: number; log: string[] }> {
  const log: string[] = [];
  for (let life = 0; life < 3; life++) {
    const revived = await revive(folder);
    log.push(...revived.log);
    const { harness } = revived;
    let ended = false;
    harness.ended.then(() => ended = true);
    try {
      const kept = await openAll(harness, bodies);
      // It finds damage when it reads there: the next one repairs it.
      if (ended) continue;
      const [fresh] = await enqueue(harness, "fresh\n");
      assert.equal(text((await open(harness, [fresh!])).first), "fresh\n");
      const aside = (await damagedLines(harness)).join("\n");
      const old = [...Deno.readDirSync(folder)].some(({ name }) => name.startsWith("queue.db.damaged-"));
      for (const id of bodies.keys()) {
        const accounted = kept.has(id) || aside.includes(id) || aside.includes(`message ${id.slice(0, 8)}`);
        assert.ok(accounted || old, `${id} is read, set aside, or in the file that is kept`);
      }
      return { opened: kept.size, log };
    } finally {
      harness.stop();
    }
  }
  throw new Error("It is never well again");
}

/** Opens each envelope as its agent does: those that can be read. */
async function openAll(harness: QueueHarness, bodies: Spool["bodies"]): Promise<Set<string>> {
  const kept = new Set<string>();
  for (const envelope of await list(harness)) {
    assert.ok(bodies.has(envelope.id), `${envelope.id} was queued`);
    const door = envelope.agent === "mta" ? harness.relay : harness.delivery;
    door.send({ type: "open", call: 1, message: messageOf(envelope.id), ids: [envelope.id] });
    const answer = await door.next((received): received is Extract<QueueToAgent, { type: "opened" | "unreadable" }> =>
      received.type === "opened" || received.type === "unreadable"
    );
    if (answer.type === "unreadable" || answer.envelopes.length === 0) continue;
    assert.equal(text(answer.first), bodies.get(envelope.id), "no message is altered");
    kept.add(envelope.id);
  }
  return kept;
}

async function withDamage(
  spool: Spool,
  damage: (path: string) => void | Promise<void>,
): Promise<ReturnType<typeof check>> {
  const folder = await Deno.makeTempDir();
  try {
    copySync(spool.folder, folder);
    await damage(`${folder}/queue.db`);
    return await check({ ...spool, folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function overwrite(path: string, at: number, bytes: Uint8Array): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(at, Deno.SeekMode.Start);
  file.writeSync(bytes);
}

Deno.test("a damaged database is repaired, with everything that can be read", async (test) => {
  const folder = await Deno.makeTempDir();
  try {
    const spool = await fill(folder);
    const all = spool.bodies.size;
    const pages = Deno.statSync(`${folder}/queue.db`).size / PAGE;
    await test.step("undamaged, nothing is said", async () => {
      const { opened, log } = await withDamage(spool, () => {});
      assert.deepEqual([opened, log], [all, []]);
    });
    for (let page = 2; page < pages; page += Math.ceil(pages / 16)) {
      await test.step(`page ${page} of ${pages} is zeroed`, async () => {
        await withDamage(spool, (path) => overwrite(path, page * PAGE, new Uint8Array(PAGE)));
      });
      await test.step(`a bit of page ${page} is flipped`, async () => {
        const { opened } = await withDamage(spool, (path) => {
          const at = page * PAGE + PAGE - 700;
          const byte = Deno.readFileSync(path)[at]!;
          overwrite(path, at, new Uint8Array([byte ^ 4]));
        });
        assert.ok(opened >= all - 150, `${opened} of ${all}`);
      });
    }
    await test.step("the second half of the file is lost", async () => {
      const { log } = await withDamage(spool, (path) => Deno.truncate(path, Math.floor(pages / 2) * PAGE));
      assert.ok(log.some((line) => line.includes("the old file is kept as ")), log.join("\n"));
    });
    await test.step("the head of the file is lost: the file is kept, and an empty queue goes on", async () => {
      const { opened, log } = await withDamage(spool, (path) => overwrite(path, 0, new Uint8Array(PAGE)));
      assert.equal(opened, 0);
      assert.ok(log.some((line) => line.includes("0 messages and 0 envelopes could be read")), log.join("\n"));
    });
    await test.step("the log is torn", async () => {
      await withDamage(spool, (path) => Deno.writeFile(`${path}-wal`, crypto.getRandomValues(new Uint8Array(40_000))));
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a repair that is killed while it puts the copy in its place is ended at the next start", async (test) => {
  const folder = await Deno.makeTempDir();
  try {
    const spool = await fill(folder);
    const junk = new Uint8Array(PAGE * 8);
    const states = {
      "nothing is moved yet": (path: string) => {
        Deno.writeFileSync(path, junk);
        Deno.writeFileSync(`${path}-wal`, junk);
        Deno.writeTextFileSync(`${path}.suspect`, "x");
      },
      "the log is moved": (path: string) => {
        Deno.writeFileSync(path, junk);
        Deno.writeFileSync(`${path}.damaged-7-wal`, junk);
      },
      "the damaged file is moved": (path: string) => Deno.writeFileSync(`${path}.damaged-7`, junk),
    };
    for (const [state, lay] of Object.entries(states)) {
      await test.step(state, async () => {
        const copy = await Deno.makeTempDir();
        try {
          copySync(folder, copy);
          const path = `${copy}/queue.db`;
          Deno.renameSync(path, `${path}.repaired-7`);
          lay(path);
          const { harness, log } = await revive(copy);
          assert.equal((await openAll(harness, spool.bodies)).size, spool.bodies.size, "all mail is there");
          harness.stop();
          assert.match(log.join("\n"), /the repair of the database, which was interrupted, is ended/);
          assert.deepEqual(Deno.readFileSync(`${path}.damaged-7`), junk, "the damaged file is kept");
          const names = [...Deno.readDirSync(copy)].map(({ name }) => name);
          assert.ok(!names.some((name) => /repaired|suspect/.test(name)), names.join(" "));
        } finally {
          await Deno.remove(copy, { recursive: true });
        }
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what is set aside is not tried, is listed, survives a restart, and goes when it is named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const first = await openQueue(folder);
    const [one, two] = [(await enqueue(first, "one\n"))[0]!, (await enqueue(first, "two\n"))[0]!];
    first.stop();
    const bytes = Deno.readFileSync(`${folder}/queue.db`);
    const at = new TextDecoder("latin1").decode(bytes).indexOf("one\n");
    overwrite(`${folder}/queue.db`, at, new TextEncoder().encode("0"));
    for (let life = 0; life < 2; life++) {
      const { harness } = await revive(folder);
      if (life === 0) {
        harness.delivery.send({ type: "open", call: 1, message: messageOf(one.id), ids: [one.id] });
        assert.equal((await harness.delivery.next(typed("unreadable"))).text, "The message is damaged");
        assert.deepEqual((await harness.scheduler.next(typed("dropped"))).ids, [one.id]);
        assert.ok(
          logged(harness).some((line) => line.includes(`message ${one.id.slice(0, 8)} is damaged and set aside`)),
        );
      }
      const lines = await damagedLines(harness);
      assert.match(
        lines.join("\n"),
        new RegExp(`^message ${one.id.slice(0, 8)}\\|.*\\|a part of its text is altered$`),
      );
      if (life === 1) {
        const tickets = (await harness.scheduler.next(typed("enqueued"))).tickets.map(({ id }) => id);
        assert.deepEqual(tickets, [two.id]);
        const remove = async (target: "all" | { message: MessageId }) => {
          harness.control.send({ type: "remove", call: 2, target, after: "" });
          return (await harness.control.next(typed("removed"))).ids;
        };
        assert.deepEqual(await remove("all"), [two.id], "not what is damaged");
        assert.deepEqual(await remove({ message: messageOf(one.id) }), [one.id]);
        assert.deepEqual(await damagedLines(harness), []);
      }
      harness.stop();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a message whose row says another size or another number of parts is set aside, not cut short", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const first = await openQueue(folder);
    const enqueueLong = async () => {
      const message = first.ids.pop()!, envelope = contentFor(message);
      first.smtp.send({ type: "chunk", message, bytes: new Uint8Array(1000).fill(65) });
      first.smtp.send({ type: "commit", message, tail: utf8("end\n"), envelopes: [envelope] });
      await first.smtp.next(typed("committed"));
      return envelope;
    };
    const parts = await enqueueLong(), good = await enqueueLong();
    const [size] = await enqueue(first, "short\n");
    first.stop();
    const database = new DatabaseSync(`${folder}/queue.db`);
    database.prepare("UPDATE messages SET chunks = chunks - 1 WHERE id = ?").run(parseInt(parts.id.slice(0, 8), 16));
    database.prepare("UPDATE messages SET bytes = bytes - 1 WHERE id = ?").run(parseInt(size!.id.slice(0, 8), 16));
    database.close();
    const { harness, log } = await revive(folder);
    assert.deepEqual(log, []);
    for (const { id } of [parts, size!]) {
      harness.delivery.send({ type: "open", call: 1, message: messageOf(id), ids: [id] });
      assert.equal((await harness.delivery.next(typed("unreadable"))).text, "The message is damaged");
    }
    assert.equal((await open(harness, [good])).bytes, 1004);
    const lines = (await damagedLines(harness)).join("\n");
    assert.match(lines, new RegExp(`^message ${parts.id.slice(0, 8)}\\|.*\\|the number of its parts is altered$`, "m"));
    assert.match(lines, new RegExp(`^message ${size!.id.slice(0, 8)}\\|.*\\|its size is altered$`, "m"));
    harness.stop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an envelope whose count of tries is altered is still sent to the scheduler", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const first = await openQueue(folder);
    const [envelope] = await enqueue(first);
    first.stop();
    const database = new DatabaseSync(`${folder}/queue.db`);
    database.exec("UPDATE envelopes SET tries = -1");
    database.close();
    const { harness } = await revive(folder);
    const { tickets } = await harness.scheduler.next(typed("enqueued"));
    assert.deepEqual(tickets.map(({ id }) => id), [envelope!.id]);
    harness.stop();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a log that is torn in its middle is logged and kept; one that ends early is what a crash leaves", async () => {
  const folder = await Deno.makeTempDir(), copy = await Deno.makeTempDir();
  const count = 60;
  const harness = await openQueue(folder);
  const revived = async (damage: (log: string) => void) => {
    copySync(folder, copy);
    damage(`${copy}/queue.db-wal`);
    const { harness, log } = await revive(copy);
    const left = (await list(harness)).length;
    harness.stop();
    return { left, log };
  };
  try {
    // Each commit waits for its answer: they are in the log one after another.
    for (let i = 0; i < count; i++) await enqueue(harness, `Subject: ${i}\n\n${"text\n".repeat(500)}`);
    assert.deepEqual(await revived(() => {}), { left: count, log: [] });
    const size = Deno.statSync(`${folder}/queue.db-wal`).size;
    const short = await revived((path) => Deno.truncateSync(path, Math.floor(size / 2)));
    assert.ok(short.left > 0 && short.left < count);
    assert.deepEqual(short.log, []);
    const torn = await revived((path) => overwrite(path, Math.floor(size / 2), new Uint8Array(64).fill(0x55)));
    assert.ok(torn.left > 0 && torn.left < count, `${torn.left}`);
    assert.match(
      torn.log.join("\n"),
      /the log of the database is torn, .* it is kept as .*queue\.db-wal\.damaged-\d+$/,
    );
    assert.ok([...Deno.readDirSync(copy)].some(({ name }) => name.startsWith("queue.db-wal.damaged-")));
  } finally {
    harness.stop();
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(copy, { recursive: true });
  }
});
