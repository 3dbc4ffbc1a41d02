/** Readers of database files: what was written is found, and a file that is damaged is an error and nothing worse. */

import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { CdbReader, DbDamaged, type DbFile, openDb, Table, writeCdb } from "../../src/tables/mod.ts";
import { DbEntries } from "../../src/tables/dbentries.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (octets: Uint8Array | null) => octets === null ? null : new TextDecoder().decode(octets);

Deno.test("writeCdb() lays records out as cdb does", () => {
  const file = writeCdb([{ key: bytes("one"), value: bytes("Hello") }]);
  // 256 tables, one record of 8 + 3 + 5, one table of two slots.
  equal(file.length, 2048 + 16 + 16);
  const view = new DataView(file.buffer);
  const hash = [..."one"].reduce((sum, letter) => (sum * 33 ^ letter.charCodeAt(0)) >>> 0, 5381);
  equal(view.getUint32((hash % 256) * 8, true), 2064);
  equal(view.getUint32((hash % 256) * 8 + 4, true), 2);
  const slot = 2064 + (hash >>> 8) % 2 * 8;
  deepEqual([view.getUint32(slot, true), view.getUint32(slot + 4, true)], [hash, 2048]);
});

Deno.test("CdbReader finds every key that was written and no other", () => {
  const record = fc.record({ key: fc.uint8Array({ maxLength: 20 }), value: fc.uint8Array({ maxLength: 50 }) });
  const records = fc.uniqueArray(record, { maxLength: 300, selector: ({ key }) => key.join() });
  fc.assert(
    fc.property(records, (list) => {
      const reader = new CdbReader(writeCdb(list));
      for (const { key, value } of list) deepEqual([...reader.get(key)!], [...value]);
      equal(reader.get(bytes("a key that is longer than twenty octets")), null);
      deepEqual([...reader.records()].map(({ key }) => key.join()), list.map(({ key }) => key.join()));
    }),
    { numRuns: 50 },
  );
});

Deno.test("CdbReader gives an answer or DbDamaged for any octets, and ends", () => {
  const good = writeCdb([{ key: bytes("a"), value: bytes("1") }, { key: bytes("b"), value: bytes("2") }]);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, octet, cut) => {
      const bad = good.slice(0, cut);
      if (at < bad.length) bad[at] = octet;
      try {
        const reader = new CdbReader(bad);
        reader.get(bytes("a"));
        for (const _ of reader.records());
      } catch (error) {
        equal((error as Error).constructor, DbDamaged);
      }
    }),
    { numRuns: 500 },
  );
  throws(() => new CdbReader(bytes("short")), DbDamaged);
});

function fixture(name: string): Uint8Array {
  return Deno.readFileSync(new URL(`fixtures/${name}`, import.meta.url));
}

/** The records of the fixtures, made by OpenSMTPD's makemap of words (see fixtures/README). */
function* expected(count: number): Generator<[string, string]> {
  for (let index = 0; index < count; index++) yield [`user${index}`, `dest${index}@example.org`];
  // Longer than a page: kept on pages of its own.
  if (count > 3) yield ["long", "x".repeat(6000)];
}

const read = (db: DbFile, key: string) => text(db.get(bytes(`${key}\0`)));

for (const name of ["three.hash.db", "three.btree.db", "many.hash.db", "many.btree.db"]) {
  Deno.test(`openDb() reads what makemap wrote: ${name}`, () => {
    const db = openDb(fixture(name));
    const want = [...expected(name.startsWith("three") ? 3 : 300)];
    for (const [key, value] of want) equal(read(db, key), `${value}\0`, key);
    for (const key of ["", "user", "user999", "zzz", "long2"]) equal(read(db, key), null, key);
    const all = [...db.records()].map(({ key, value }) => [text(key)!.slice(0, -1), text(value)!.slice(0, -1)]);
    deepEqual(all.sort(), want.sort());
  });

  Deno.test(`openDb() gives an answer or DbDamaged for any damage of ${name}, and ends`, () => {
    const good = fixture(name);
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
    // Most of a page is empty: the first octets of pages are where it hurts.
    const header = fc.array(fc.tuple(fc.nat(good.length / 512 - 1), fc.nat(99), fc.nat(255)), { maxLength: 10 });
    fc.assert(
      fc.property(
        damage,
        header,
        fc.integer({ min: 0, max: good.length }),
        fc.boolean(),
        (places, heads, cut, short) => {
          const bad = good.slice(0, short ? cut : good.length);
          for (const [at, octet] of places) if (at < bad.length) bad[at] = octet;
          for (const [page, at, octet] of heads) if (page * 512 + at < bad.length) bad[page * 512 + at] = octet;
          onlyDamaged(bad);
        },
      ),
      { numRuns: 300 },
    );
  });
}

/** Uses all of a reader; anything but an answer or DbDamaged fails the test. */
function onlyDamaged(file: Uint8Array): void {
  for (const use of [(db: DbFile) => void read(db, "user1"), (db: DbFile) => void [...db.records()].length]) {
    try {
      use(openDb(file));
    } catch (error) {
      ok(error instanceof DbDamaged, String((error as Error).stack));
    }
  }
}

Deno.test("openDb() takes random octets for no database", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 5000 }), (file) => onlyDamaged(file)), { numRuns: 200 });
  throws(() => openDb(bytes("a: b\n".repeat(1000))), /neither a constant database nor a Berkeley DB file/);
});

const refused = [
  { because: "it is of a version that is not known", at: 16, octet: 10, want: /version 10/ },
  { because: "it is encrypted", at: 24, octet: 1, want: /encrypted/ },
  { because: "it has checksums", at: 26, octet: 1, want: /checksums/ },
  { because: "it may have a key twice", at: 48, octet: 1, want: /duplicate keys/ },
];
for (const { because, at, octet, want } of refused) {
  for (const name of ["three.hash.db", "three.btree.db"]) {
    Deno.test(`openDb() refuses ${name} when ${because}`, () => {
      const file = fixture(name);
      file[at] = octet;
      throws(() => openDb(file), (error: Error) => {
        match(error.message, want);
        return error instanceof DbDamaged;
      });
    });
  }
}

/** The file as a machine of the other byte order would have written it, for the words that a lookup in one page needs. */
Deno.test("openDb() reads a file of the other byte order", () => {
  const file = fixture("three.btree.db");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const turn32 = (at: number) => view.setUint32(at, view.getUint32(at, true), false);
  const turn16 = (at: number) => view.setUint16(at, view.getUint16(at, true), false);
  const size = view.getUint32(20, true),
    root = view.getUint32(88, true) * size,
    entries = view.getUint16(root + 20, true);
  for (const at of [12, 16, 20, 48, 88, root + 16]) turn32(at);
  for (let item = 0; item < entries; item++) {
    const offset = view.getUint16(root + 26 + item * 2, true);
    turn16(root + offset);
    turn16(root + 26 + item * 2);
  }
  turn16(root + 20);
  equal(read(openDb(file), "user2"), "dest2@example.org\0");
});

/** Debian's tool, if it is here: `scripts/bench tables` unpacks it. */
const loader = [...(Deno.env.get("PATH") ?? "").split(":"), new URL("../../.deno/tools/bin", import.meta.url).pathname]
  .map((folder) => `${folder}/db5.3_load`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

for (const type of ["hash", "btree"]) {
  for (const pageSize of [512, 4096, 65536]) {
    Deno.test({
      name: `openDb() reads what db5.3_load makes of random maps: ${type}, pages of ${pageSize}`,
      ignore: loader === undefined,
      fn: () => loadRandomMaps(type, pageSize),
    });
  }
}

async function loadRandomMaps(type: string, pageSize: number): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const count of [0, 1, 40, 3000]) {
      const path = `${folder}/${count}.db`;
      const [list] = fc.sample(
        fc.uniqueArray(
          fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.uint8Array({ minLength: 1, maxLength: 300 })),
          { minLength: count, maxLength: count, selector: ([key]) => key.join() },
        ),
        { numRuns: 1, seed: count + pageSize },
      ) as [[Uint8Array, Uint8Array][]];
      // Long items are kept apart from their pages.
      if (count > 1) list.push([bytes("k".repeat(900)), bytes("v".repeat(100_000))]);
      await load(path, type, pageSize, list);
      const db = openDb(Deno.readFileSync(path));
      for (const [key, value] of list) deepEqual(db.get(key), value);
      equal(db.get(bytes("no such key")), null);
      const all = new Set([...db.records()].map(({ key, value }) => `${key.join()}=${value.join()}`));
      deepEqual(all, new Set(list.map(([key, value]) => `${key.join()}=${value.join()}`)));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function load(path: string, type: string, pageSize: number, list: [Uint8Array, Uint8Array][]): Promise<void> {
  const hex = (octets: Uint8Array) => ` ${octets.toHex()}\n`;
  const dump = `VERSION=3\nformat=bytevalue\ntype=${type}\ndb_pagesize=${pageSize}\nHEADER=END\n${
    list.map(([key, value]) => hex(key) + hex(value)).join("")
  }DATA=END\n`;
  const process = new Deno.Command(loader!, { args: [path], stdin: "piped" }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(bytes(dump));
  await writer.close();
  equal((await process.status).code, 0);
}

Deno.test("a database reports whether all its values are SCRAM verifiers; a damaged one says no", () => {
  const verifier = bytes(`SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$${"A".repeat(43)}=:${"A".repeat(43)}=\0`);
  const shape = (file: Uint8Array) =>
    new Table({ name: "t", kind: "map", entries: new DbEntries(openDb(file)) }, "+").scram();
  const good = writeCdb([{ key: bytes("a\0"), value: verifier }, { key: bytes("b\0"), value: verifier }]);
  deepEqual(shape(good), { iterations: 4096, saltBytes: 16 });
  equal(
    shape(writeCdb([{ key: bytes("a\0"), value: verifier }, { key: bytes("b\0"), value: bytes("$6$x$y\0") }])),
    null,
  );
  equal(shape(writeCdb([])), null);
  const damaged = good.slice();
  // The length of the first value.
  damaged.fill(0xff, 2052, 2056);
  equal(shape(damaged), null);
});
