/** The hold of the database file for a copy: the file stands still, mail goes on, and a copy that cannot be consistent is refused. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { DatabaseSync } from "node:sqlite";
import { BACKUP_LEASE_MS, BackupHold } from "../../src/queue/backup.ts";
import { CHECKPOINT_PAGES } from "../../src/queue/store/database.ts";
import { FileHold } from "../../src/queue/store/file_hold.ts";
import { Store } from "../../src/queue/store/store.ts";
import { FakeClock } from "../fake_clock.ts";

function withStore(body: (about: { store: Store; hold: BackupHold; spool: string; clock: FakeClock }) => void): void {
  const spool = Deno.makeTempDirSync();
  const store = new Store(spool), clock = new FakeClock();
  try {
    body({ store, hold: new BackupHold(store.fileHold, { spool, clock }), spool, clock });
  } finally {
    store.close();
    Deno.removeSync(spool, { recursive: true });
  }
}

function addMessages(store: Store, first: number, last: number): void {
  store.begin("synced");
  for (let message = first; message <= last; message++) store.addMessage(message as never, { bytes: 1, chunks: 0 });
  store.commit();
}

function messagesIn(spool: string, bytes: Uint8Array): number {
  const copy = `${spool}/copy`;
  Deno.mkdirSync(copy);
  Deno.writeFileSync(`${copy}/queue.db`, bytes);
  const store = new Store(copy);
  try {
    let found = 0;
    for (let message = 1; message <= 3000; message++) if (store.message(message as never) !== null) found++;
    return found;
  } finally {
    store.close();
  }
}

Deno.test("during a hold no checkpoint writes the file, however much is committed", () => {
  const spool = Deno.makeTempDirSync(), path = `${spool}/queue.db`;
  using database = new DatabaseSync(path);
  try {
    // The smallest pages: a checkpoint comes after as many of them.
    database.exec("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
    database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; CREATE TABLE texts (text)`);
    const fill = () => database.exec(`INSERT INTO texts VALUES (zeroblob(${CHECKPOINT_PAGES * 512 * 2}))`);
    const hold = new FileHold(database), size = () => Deno.statSync(path).size;
    assert.ok(hold.hold());
    const before = size();
    fill();
    database.exec("INSERT INTO texts VALUES (1)");
    assert.equal(size(), before);
    hold.release();
    database.exec("INSERT INTO texts VALUES (2)");
    assert.ok(size() > before);
  } finally {
    Deno.removeSync(spool, { recursive: true });
  }
});

Deno.test("the database file stands still during a hold, whatever is committed, and has all that was committed before", () => {
  withStore(({ store, hold, spool }) => {
    addMessages(store, 1, 1000);
    const begun = hold.begin();
    assert.equal(begun.error, null);
    const before = Deno.readFileSync(`${spool}/queue.db`);
    assert.equal(begun.bytes, before.length);
    addMessages(store, 1001, 3000);
    assert.equal(hold.keep(begun.hold).error, null);
    assert.ok(Buffer.from(before).equals(Deno.readFileSync(`${spool}/queue.db`)));
    assert.equal(hold.end(begun.hold).error, null);
    assert.equal(messagesIn(spool, before), 1000);
    store.emptyLog();
    assert.notEqual(Deno.statSync(`${spool}/queue.db`).size, before.length);
  });
});

const BROKEN = [
  {
    name: "nobody speaks of any more",
    break: ({ clock }: { clock: FakeClock }) => clock.advance(BACKUP_LEASE_MS + 1),
    why: /nothing was heard of it for 30 seconds/,
  },
  {
    name: "stands in the way of room on the disk",
    break: ({ store }: { store: Store }) => store.makeRoom(),
    why: /room on the disk got short/,
  },
  {
    name: "has a log that grows too large",
    break: ({ spool }: { spool: string }) => Deno.truncateSync(`${spool}/queue.db-wal`, 1024 ** 3 + 1),
    why: /reached 1024 MiB/,
  },
];
for (const { name, break: breakIt, why } of BROKEN) {
  Deno.test(`a hold that ${name} ends, and its copy is refused`, () => {
    withStore((about) => {
      const { store, hold } = about;
      const first = hold.begin();
      assert.match(hold.begin().error ?? "", /another backup is being taken/);
      breakIt(about);
      hold.look();
      assert.equal(store.fileHold.held, false);
      assert.match(hold.end(first.hold).error ?? "", why);
      const second = hold.begin();
      assert.deepEqual([second.error, second.hold > first.hold], [null, true]);
      assert.match(hold.keep(first.hold).error ?? "", /not consistent/);
      assert.equal(hold.end(second.hold).error, null);
    });
  });
}
