/** The examples of table(5): every configuration is right, and every file is what it is said to be. */

import assert from "node:assert/strict";
import { parseSqliteConfig } from "../../src/tables/mod.ts";
import { complaints, configOf, readTableFile } from "./helper.ts";
import { literalBlocks } from "./mdoc.ts";

/** The first line of each names it; the others are shown for what they say. */
const examples = literalBlocks("table.5").flatMap((block) => {
  const [, name, text] = /^# (\S+)\n([^]*)$/.exec(block) ?? [];
  return name === undefined ? [] : [{ name, text: text! }];
});
const files = Object.fromEntries(examples.map(({ name, text }) => [name, text]));

Deno.test("table(5) has examples of files and configurations", () => {
  const names = examples.map(({ name }) => name.replace("/etc/vaultpost/", ""));
  assert.deepEqual(names, ["domains", "aliases", "nets", "sqlite.conf", "smtpd.conf", "smtpd.conf"]);
});

for (const [index, { name, text }] of examples.entries()) {
  if (name !== "smtpd.conf") continue;
  Deno.test(`table(5): configuration ${index} is right`, () => {
    assert.deepEqual(complaints(text, { files }), []);
    const { tables, tableFiles } = configOf(text, { files });
    const declared = text.split("\n").filter((line) => line.startsWith("table ")).map((line) => line.split(/\s+/)[1]!);
    for (const table of declared) assert.ok(table in tables || table in tableFiles, table);
  });
}

const kinds = [
  { file: "domains", kind: "list", key: "*.example.net", value: "" },
  { file: "aliases", kind: "map", key: "list", value: ":include:/etc/vaultpost/members" },
  { file: "nets", kind: "list", key: "2001:db8::/32", value: "" },
] as const;
for (const { file, kind, key, value } of kinds) {
  Deno.test(`table(5): the file ${file} is a ${kind} with ${key}`, () => {
    const read = readTableFile(files[`/etc/vaultpost/${file}`]!);
    assert.ok(read.ok);
    assert.equal(read.kind, kind);
    assert.deepEqual(read.entries.find(([name]) => name === key), [key, value]);
  });
}

Deno.test("table(5): the description of the SQLite table is one", () => {
  const { dbpath, queries } = parseSqliteConfig("c", files["/etc/vaultpost/sqlite.conf"]!);
  assert.equal(dbpath, "/var/db/mail.sqlite");
  assert.equal(Object.keys(queries).length, 5);
});
