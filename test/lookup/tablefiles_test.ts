/** Tables of every back-end, from real files. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { TableFile } from "../../src/config/mod.ts";
import { NO_OBSERVER } from "../../src/events/mod.ts";
import { inspectTableFile, openMachine, openTableFile } from "../../src/lookup/mod.ts";
import { LookupError, writeCdb } from "../../src/tables/mod.ts";
import { systemClock } from "../../src/clock.ts";

const FIXTURES = new URL("../tables/fixtures/", import.meta.url).pathname;

async function withFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(
  backend: TableFile["backend"],
  path: string,
  kind: TableFile["kind"] = "dynamic",
  steady?: () => number,
) {
  const warnings: string[] = [];
  let now = 0;
  const table = openTableFile({ name: "t", backend, kind, path, files: [path], includes: [] }, {
    disk: openMachine(),
    delimiter: "+",
    observer: NO_OBSERVER,
    warn: (text) => void warnings.push(text),
    clock: { steady: steady ?? (() => now), after: systemClock.after },
  });
  return { table, warnings, wait: (ms: number) => now += ms };
}

const inspect = (backend: "db" | "passwd" | "sqlite", path: string) => inspectTableFile(backend, path, openMachine());

function reasonOf(answer: unknown): string {
  assert.ok(answer instanceof LookupError, String(answer));
  return answer.reason;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const cdb = (records: Record<string, string>) =>
  writeCdb(Object.entries(records).map(([key, value]) => ({ key: bytes(key), value: bytes(value) })));

Deno.test("a file: table is read with its line ends, and a mistake of it is reported by its line", () =>
  withFolder((folder) => {
    const path = `${folder}/t`;
    Deno.writeTextFileSync(path, "# aliases\r\nBob: Robert\r\nbob: Roberta\nteam bob, eve");
    const { table } = open("file", path, "map");
    assert.equal(table.lookup("BOB", "alias"), "Roberta");
    assert.equal(table.lookup("team", "alias"), "bob, eve");
    Deno.writeTextFileSync(path, "bob: robert\neve\n");
    assert.equal(
      table.update(),
      `${path}:2: an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)`,
    );
    assert.equal(table.lookup("bob", "alias"), "Roberta");
    Deno.writeTextFileSync(path, "eve: max\n");
    assert.equal(table.update(), null);
    assert.deepEqual([table.lookup("bob"), table.lookup("eve")], [null, "max"]);
  }));

Deno.test("a large file: table is read again in turns with others, the old content answering until all of it is there", () =>
  withFolder(async (folder) => {
    const path = `${folder}/t`;
    const lines = (value: string) => Array.from({ length: 40_000 }, (_, at) => `user${at}: ${value}\n`).join("");
    Deno.writeTextFileSync(path, lines("old"));
    // Each look at the clock is a slice's time, so that every step gives way.
    let now = 0;
    const { table } = open("file", path, "map", () => now += 5);
    assert.equal(table.lookup("user39999"), "old");
    Deno.writeTextFileSync(path, lines("new"));
    let ended = false, turns = 0;
    const update = Promise.all([table.update(), table.update()]).finally(() => ended = true);
    while (!ended) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      const values = [table.lookup("user0"), table.lookup("user39999")];
      assert.ok(values[0] === values[1], "whole or not at all");
      if (values[0] === "old") turns++;
    }
    assert.deepEqual(await update, [null, null]);
    assert.ok(turns > 20, `${turns} turns of others`);
    assert.equal(table.lookup("user0"), "new");
    Deno.writeTextFileSync(path, `${lines("newer")}bob\n`);
    assert.equal(
      await table.update(),
      `${path}:40001: an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)`,
    );
    assert.equal(table.lookup("user39999"), "new");
  }));

for (const name of ["many.hash.db", "many.btree.db"]) {
  Deno.test(`a db: table reads ${name}`, () => {
    const { table } = open("db", `${FIXTURES}${name}`);
    assert.equal(table.lookup("User7", "alias"), "dest7@example.org");
    assert.equal(table.lookup("nobody", "alias"), null);
    assert.equal(table.check("string", "long"), true);
    assert.equal(table.check("domain", "user7"), true);
    assert.deepEqual(inspect("db", `${FIXTURES}${name}`), { files: [`${FIXTURES}${name}`], includes: [] });
  });
}

Deno.test("a db: table reads a cdb with and without NULs, compares patterns, and is opened again when it was replaced", () =>
  withFolder((folder) => {
    const path = `${folder}/t.db`;
    Deno.writeFileSync(path, cdb({ "*.example.org\0": "<set>\0", "10.0.0.0/8\0": "<set>\0", bare: "value" }));
    const { table, wait, warnings } = open("db", path);
    assert.equal(table.check("domain", "a.example.org"), true);
    assert.equal(table.check("netaddr", "10.1.2.3"), true);
    assert.equal(table.lookup("bare"), "value");
    assert.deepEqual([1, 2, 3, 4].map(() => table.fetch()), ["*.example.org", "10.0.0.0/8", "bare", "*.example.org"]);
    Deno.writeFileSync(`${path}.new`, cdb({ "new\0": ":include:/list\0" }));
    Deno.renameSync(`${path}.new`, path);
    assert.deepEqual(inspect("db", path).includes, [":include:/list"]);
    wait(1000);
    assert.deepEqual([table.lookup("bare"), table.lookup("new")], [null, ":include:/list"]);
    Deno.writeTextFileSync(path, "garbage");
    wait(1000);
    assert.equal(table.lookup("new"), ":include:/list");
    assert.match(warnings.join(), /keeps what it had: .*neither a constant database/);
    assert.throws(() => inspect("db", path), /neither a constant database/);
  }));

Deno.test("a passwd: table has users, their accounts and their hashes", () =>
  withFolder((folder) => {
    const path = `${folder}/passwd`;
    Deno.writeTextFileSync(path, "# users\nBob:$6$x:1000:100:Bob:/home/bob:/bin/sh\neve:$6$y\nmax::1:1::/home/max:\n");
    const { table } = open("passwd", path);
    assert.equal(table.lookup("bob", "userinfo"), "1000:100:/home/bob");
    assert.equal(table.lookup("BOB", "credentials"), "BOB:$6$x");
    assert.equal(table.lookup("eve", "credentials"), "eve:$6$y");
    assert.equal(table.lookup("nobody", "userinfo"), null);
    assert.equal(table.check("string", "eve"), true);
    assert.match(reasonOf(table.lookup("eve", "userinfo")), /no account/);
    assert.match(reasonOf(table.lookup("max", "credentials")), /no password/);
    assert.match(reasonOf(table.lookup("bob", "alias")), /no alias values/);
    assert.match(reasonOf(table.fetch()), /no list/);
    Deno.writeTextFileSync(path, "bob:x\n\nnonsense\n");
    assert.equal(table.update(), `${path}:3 invalid line: it is not name:password:…`);
    assert.throws(() => inspect("passwd", path), /:3 invalid line/);
  }));

/** A database with all that the queries below ask for. */
function sqliteFolder(folder: string, extra = ""): string {
  const database = new DatabaseSync(`${folder}/mail.sqlite`);
  database.exec(`
    CREATE TABLE aliases (key TEXT, value TEXT);
    INSERT INTO aliases VALUES ('team', 'bob'), ('team', 'eve@example.org'), ('odd', NULL);
    CREATE TABLE users (name TEXT, hash TEXT, uid INTEGER, gid INTEGER, home TEXT);
    INSERT INTO users VALUES ('bob', '$6$x', 1000, 100, '/home/bob');
    CREATE TABLE sources (address TEXT);
    INSERT INTO sources VALUES ('192.0.2.1'), ('192.0.2.2');
  `);
  database.close();
  const path = `${folder}/sqlite.conf`;
  Deno.writeTextFileSync(
    path,
    `# what table-sqlite(5) has
dbpath			${folder}/mail.sqlite
query_alias		SELECT value FROM aliases WHERE key=?;
query_credentials	SELECT name, hash FROM users WHERE name=?
query_userinfo		SELECT uid, gid, home FROM users WHERE name=?
query_domain		SELECT 1 WHERE ? LIKE '%.example.org'
fetch_source		SELECT address FROM sources ORDER BY address
fetch_source_expire	10
${extra}`,
  );
  return path;
}

Deno.test("a sqlite: table asks one query for each service", () =>
  withFolder((folder) => {
    const path = sqliteFolder(folder);
    const { table, wait, warnings } = open("sqlite", path);
    assert.deepEqual(warnings, []);
    assert.equal(table.lookup("TEAM", "alias"), "bob, eve@example.org");
    assert.equal(table.lookup("nobody", "alias"), null);
    assert.match(reasonOf(table.lookup("odd", "alias")), /empty column/);
    assert.equal(table.lookup("bob", "credentials"), "bob:$6$x");
    assert.equal(table.lookup("bob", "userinfo"), "1000:100:/home/bob");
    assert.equal(table.check("domain", "a.b.Example.org"), true);
    assert.equal(table.check("domain", "example.net"), false);
    assert.match(reasonOf(table.check("netaddr", "192.0.2.1")), /no query_netaddr/);
    assert.match(reasonOf(table.lookup("x".repeat(1024), "alias")), /longer than a key/);
    assert.deepEqual([1, 2, 3].map(() => table.fetch("source")), ["192.0.2.1", "192.0.2.2", "192.0.2.1"]);
    const writer = new DatabaseSync(`${folder}/mail.sqlite`);
    writer.exec("DELETE FROM sources; INSERT INTO sources VALUES ('192.0.2.9'); UPDATE aliases SET value='max'");
    writer.close();
    assert.equal(table.lookup("odd", "alias"), "max", "rows are read anew each time");
    assert.equal(table.fetch("source"), "192.0.2.2", "a fetched list stays for a while");
    wait(10_000);
    assert.equal(table.fetch("source"), "192.0.2.9");
  }));

Deno.test("a sqlite: table whose description changed is opened again on order, or stays as it is", () =>
  withFolder((folder) => {
    const path = sqliteFolder(folder);
    const { table } = open("sqlite", path);
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, text.replace("SELECT value", "SELECT valeu"));
    assert.match(String(table.update()), /query_alias: no such column: valeu/);
    assert.equal(table.lookup("team", "alias"), "bob, eve@example.org");
    Deno.writeTextFileSync(path, text.replace("SELECT value", "SELECT 'x' || value"));
    assert.equal(table.update(), null);
    assert.equal(table.lookup("team", "alias"), "xbob, xeve@example.org");
  }));

Deno.test("a sqlite: table writes nothing, and names the files that it needs", () =>
  withFolder((folder) => {
    const path = sqliteFolder(folder, "query_string DELETE FROM sources WHERE address=? RETURNING address\n");
    const { table } = open("sqlite", path);
    assert.match(reasonOf(table.check("string", "192.0.2.1")), /readonly/);
    const base = `${folder}/mail.sqlite`;
    assert.deepEqual(inspect("sqlite", path), {
      files: [path, base, `${base}-wal`, `${base}-shm`, `${base}-journal`],
      includes: [],
    });
  }));

Deno.test("a sqlite: table that somebody else has locked is an error, not a miss", () =>
  withFolder((folder) => {
    const { table } = open("sqlite", sqliteFolder(folder));
    const writer = new DatabaseSync(`${folder}/mail.sqlite`);
    writer.exec("BEGIN EXCLUSIVE");
    const started = performance.now();
    assert.match(reasonOf(table.lookup("team", "alias")), /locked/);
    assert.match(reasonOf(table.lookup("bob", "userinfo")), /locked/);
    // Each waits a tenth of a second, a busy machine not included.
    assert.ok(performance.now() - started < 5000, "it does not wait long");
    writer.exec("COMMIT");
    writer.close();
    assert.equal(table.lookup("bob", "userinfo"), "1000:100:/home/bob");
  }));

const mistakes = [
  { text: "query_alias SELECT 1", want: /names no dbpath/ },
  { text: "dbpath mail.sqlite", want: /does not start with a slash/ },
  { text: "dbpath", want: /:1 missing value/ },
  { text: "dbpath /x\nquery_aliases SELECT 1", want: /:2 unknown word "query_aliases"/ },
  { text: "dbpath /x\ndbpath /y", want: /:2 "dbpath" is already specified/ },
  { text: "dbpath /x\nfetch_source_expire soon", want: /:2 "fetch_source_expire" wants a number/ },
  { text: "dbpath /nonexistent/x", want: /unable to open database file/ },
];
for (const { text, want } of mistakes) {
  Deno.test(`the check of a configuration refuses the sqlite description ${JSON.stringify(text)}`, () =>
    withFolder((folder) => {
      Deno.writeTextFileSync(`${folder}/c`, text);
      assert.throws(() => inspect("sqlite", `${folder}/c`), want);
    }));
}

Deno.test("the check of a configuration refuses a query with too few columns", () =>
  withFolder((folder) => {
    const path = sqliteFolder(folder, "query_mailaddr SELECT 1, 2\n");
    assert.throws(() => inspect("sqlite", path), /query_mailaddr: the rows have 2 columns, 1 are needed/);
  }));
