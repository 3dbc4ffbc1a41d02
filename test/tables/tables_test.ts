/** Tables: lookups, rotation, reading again, accounts, and the time that a large one costs. */

import assert from "node:assert/strict";
import type { StaticTable } from "../../src/config/mod.ts";
import { NO_OBSERVER } from "../../src/events/mod.ts";
import { LookupError, parsePasswd, parseUserInfo, Table, TableSet } from "../../src/tables/mod.ts";

function table(kind: "list" | "map", entries: readonly (readonly [string, string])[]) {
  return { name: "t", kind, entries } satisfies StaticTable;
}
const here = { serverName: "Mail.Example.org", localAddresses: ["127.0.0.1", "[::1]", "192.0.2.7"] };

Deno.test("Table.lookup() folds the key and keeps the case of the value", () => {
  const map = new Table(table("map", [["bob", "Robert"]]), "+");
  assert.equal(map.lookup("BOB"), "Robert");
  assert.equal(map.lookup("eve"), null);
});

Deno.test("Table answers a key of more than 1023 characters with an error, not with a miss", () => {
  const list = new Table(table("list", [["a", ""]]), "+");
  assert.ok(list.lookup("x".repeat(1024)) instanceof LookupError);
  assert.ok(list.check("domain", "x".repeat(1024)) instanceof LookupError);
  assert.equal(list.check("string", "x".repeat(1023)), false);
});

Deno.test("Table.fetch() hands out the keys in turn, again and again, and null when there are none", () => {
  const list = new Table(table("list", [["a", ""], ["b", ""], ["c", ""]]), "+");
  assert.deepEqual([1, 2, 3, 4].map(() => list.fetch()), ["a", "b", "c", "a"]);
  assert.equal(new Table(table("list", []), "+").fetch(), null);
});

Deno.test("Table compares one list by the service that is asked for", () => {
  const list = new Table(table("list", [["*.example.org", ""], ["10.0.0.0/8", ""], ["@example.net", ""]]), "+");
  assert.equal(list.check("domain", "A.EXAMPLE.ORG"), true);
  assert.equal(list.check("string", "a.example.org"), false);
  assert.equal(list.check("netaddr", "10.1.2.3"), true);
  assert.equal(list.check("mailaddr", "Bob@Example.net"), true);
});

const NETS = [
  "192.0.2.0/24",
  "!192.0.2.7",
  "192.0.2.7",
  "!192.0.2.64/26",
  "[2001:db8::/32]",
  "![2001:db8::7]",
  "local",
];
const excepted = [
  { address: "192.0.2.6", want: true, because: "the network holds it and nothing takes it out" },
  { address: "192.0.2.7", want: false, because: "it is taken out, though it is named too" },
  { address: "192.0.2.65", want: false, because: "a network is taken out of the network" },
  { address: "192.0.2.128", want: true, because: "it is behind what is taken out" },
  { address: "198.51.100.1", want: false, because: "what is not taken out is not therefore in" },
  { address: "[2001:db8::8]", want: true, because: "the network holds it" },
  { address: "[2001:db8::7]", want: false, because: "IPv6 is taken out as well" },
  { address: "local", want: true, because: "local submissions are no address" },
] as const;
for (const { address, want, because } of excepted) {
  Deno.test(`A list of networks with exceptions ${want ? "holds" : "does not hold"} ${address}: ${because}`, () => {
    const list = new Table(table("list", NETS.map((entry) => [entry, ""] as const)), "+");
    assert.equal(list.check("netaddr", address), want);
  });
}

const builtin = [
  { name: "<localnames>", service: "domain", key: "localhost", want: true },
  { name: "<localnames>", service: "domain", key: "mail.example.ORG", want: true },
  { name: "<localnames>", service: "domain", key: "192.0.2.7", want: true },
  { name: "<localnames>", service: "domain", key: "[192.0.2.7]", want: true },
  { name: "<localnames>", service: "domain", key: "[::1]", want: true },
  { name: "<localnames>", service: "domain", key: "[IPv6:::1]", want: true },
  { name: "<localnames>", service: "domain", key: "example.org", want: false },
  { name: "<localhost>", service: "netaddr", key: "local", want: true },
  { name: "<localhost>", service: "netaddr", key: "[::1]", want: true },
  { name: "<localhost>", service: "netaddr", key: "192.0.2.7", want: true },
  { name: "<localhost>", service: "netaddr", key: "192.0.2.8", want: false },
  { name: "<anyhost>", service: "netaddr", key: "local", want: true },
  { name: "<anyhost>", service: "netaddr", key: "198.51.100.1", want: true },
  { name: "<anyhost>", service: "netaddr", key: "[2001:db8::1]", want: true },
  { name: "<anydestination>", service: "domain", key: "anything.example", want: true },
] as const;
for (const { name, service, key, want } of builtin) {
  Deno.test(`TableSet: the built-in table ${name} ${want ? "holds" : "does not hold"} ${key}`, () => {
    assert.equal(new TableSet({}, here, "+").get(name).check(service, key), want);
  });
}

Deno.test("TableSet.update() succeeds for an inline table without doing anything, fails for an unknown one, and passes it to others", () => {
  const updated: string[] = [];
  const other = {
    name: "other",
    check: () => false,
    lookup: () => null,
    fetch: () => null,
    update: () => (updated.push("other"), "cannot"),
  };
  const set = new TableSet({ t: table("list", [["a", ""]]) }, here, "+", NO_OBSERVER, [other]);
  assert.equal(set.update("t"), null);
  assert.match(String(set.update("nosuch")), /no table "nosuch"/);
  assert.equal(set.update("other"), "cannot");
  assert.deepEqual(updated, ["other"]);
});

const userInfos = [
  { value: "1000:100:/home/bob", want: { name: "bob", uid: 1000, gid: 100, home: "/home/bob" } },
  { value: "1000:100:/odd:home", want: { name: "bob", uid: 1000, gid: 100, home: "/odd:home" } },
  { value: "1000:100:", want: null },
  { value: "1000:100", want: null },
  { value: "-1:100:/home/bob", want: null },
  { value: "bob:100:/home/bob", want: null },
  { value: "4294967295:100:/home/bob", want: null },
];
for (const { value, want } of userInfos) {
  Deno.test(`parseUserInfo() ${want === null ? "refuses" : "reads"} "${value}"`, () => {
    assert.deepEqual(parseUserInfo("bob", value), want);
  });
}

Deno.test("parsePasswd() reads accounts, skips what is none, and keeps the first of two with one name", () => {
  const text =
    "root:x:0:0:root:/root:/bin/sh\n# comment\n\n+::::::\nbob:x:1000:1001:Bob,,,:/home/bob:/bin/sh\nbob:x:1:1::/:\n";
  assert.deepEqual([...parsePasswd(text).values()], [
    { name: "root", uid: 0, gid: 0, home: "/root" },
    { name: "bob", uid: 1000, gid: 1001, home: "/home/bob" },
  ]);
});

Deno.test("Table of 100,000 entries: time of a lookup (printed, not judged)", () => {
  const count = 100_000;
  const entries = Array.from({ length: count }, (_, index) => [`host${index}.example.org`, "value"] as const);
  const started = performance.now();
  const big = new Table(table("map", entries), "+");
  assert.equal(big.check("domain", "host0.example.org"), true);
  assert.equal(big.check("mailaddr", "bob@example.org"), false);
  const compiled = performance.now();
  for (let index = 0; index < count; index++) {
    assert.ok(big.check("domain", `host${index}.example.org`));
    assert.ok(big.lookup(`host${index}.example.org`));
    assert.ok(!big.check("domain", `nohost${index}.example.org`));
  }
  const done = performance.now();
  const perLookup = ((done - compiled) * 1000 / (3 * count)).toFixed(2);
  console.log(`100,000 entries: compiled in ${(compiled - started).toFixed(0)} ms, ${perLookup} µs a lookup`);
});
