/** Packed entries: what a map of strings does, in less memory. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { compareKeys, tableKey } from "../../src/config/tablefile.ts";
import { PackedEntries, Table } from "../../src/tables/mod.ts";

const key = fc.string({ unit: fc.constantFrom("a", "B", "é", "😀", "@", ".", "*", "/", ":", "1", "+"), maxLength: 6 });

Deno.test("PackedEntries is a map whose keys are in lower case and sorted by their bytes", () => {
  fc.assert(fc.property(fc.array(fc.tuple(key, fc.string()), { maxLength: 200 }), (pairs) => {
    const packed = PackedEntries.of(pairs);
    const want = new Map(pairs.map(([key, value]) => [tableKey(key), value]));
    assert.equal(packed.size, want.size);
    // A lone surrogate has no UTF-8.
    for (const [key, value] of want) assert.equal(packed.get(key), value.toWellFormed(), key);
    const keys = [...packed.keys()];
    assert.deepEqual(keys, [...want.keys()].sort(compareKeys));
    assert.deepEqual(keys.map((_, index) => packed.keyAt(index)), keys);
    assert.equal(packed.keyAt(keys.length), null);
    assert.deepEqual([...packed.values()].sort(), [...want.values()].map((value) => value.toWellFormed()).sort());
    assert.equal(packed.has("no such key"), false);
    for (const key of want.keys()) {
      const special = /[*/:[]/.test(key) || /^[0-9.]*$/.test(key);
      assert.equal([...packed.patterns()].includes(key), special, key);
    }
  }));
});

Deno.test("PackedEntries keeps 20,000 entries that it did not expect, and drops those that were replaced", () => {
  const packed = new PackedEntries();
  const bytes = (text: string) => new TextEncoder().encode(text);
  for (let round = 0; round < 2; round++) {
    for (let index = 0; index < 20_000; index++) packed.set(bytes(`key${index}`), bytes(`${round} ${index}`));
  }
  packed.trim();
  assert.equal(packed.size, 20_000);
  for (let index = 0; index < 20_000; index += 7) assert.equal(packed.get(`key${index}`), `1 ${index}`);
  assert.equal([...packed.keys()].length, 20_000);
});

Deno.test("PackedEntries takes less than 100 bytes for an entry of 45", () => {
  const packed = new PackedEntries({ entries: 100_000, bytes: 4_500_000 });
  const bytes = (text: string) => new TextEncoder().encode(text);
  for (let index = 0; index < 100_000; index++) {
    packed.set(bytes(`user${index}`), bytes(`someone${index}@host.example.org`));
  }
  packed.trim();
  assert.ok(packed.bytes < 100 * 100_000, `${packed.bytes / 100_000} bytes an entry`);
});

Deno.test("PackedEntries finds no key that is longer than any it may hold", () => {
  assert.equal(PackedEntries.of([["a", "b"]]).get("é".repeat(3000)), null);
});

/** A table finds plain keys and patterns in two ways; both must agree with the matchers' own tests. */
const found = [
  { service: "mailaddr", entries: ["@"], key: "a@b", want: true },
  { service: "mailaddr", entries: [""], key: "a@b", want: true },
  { service: "mailaddr", entries: ["a@"], key: "a@b", want: true },
  { service: "mailaddr", entries: ["a"], key: "a+tag@b", want: true },
  { service: "mailaddr", entries: ["a+tag"], key: "a@b", want: false },
  { service: "mailaddr", entries: ["a@*.b"], key: "a+tag@c.b", want: true },
  { service: "mailaddr", entries: ["*@b"], key: "a@b", want: false },
  { service: "mailaddr", entries: ["b"], key: "a@b", want: false },
  { service: "netaddr", entries: ["192.0.2.1"], key: "[::ffff:192.0.2.1]", want: true },
  { service: "netaddr", entries: ["192.0.2.1"], key: "192.0.2.2", want: false },
  { service: "netaddr", entries: ["10"], key: "10.1.2.3", want: true },
  { service: "netaddr", entries: ["192.0.2.0/31"], key: "192.0.2.1", want: true },
  { service: "netaddr", entries: ["2001:db8:0:0::1"], key: "[2001:db8::1]", want: true },
  { service: "netaddr", entries: ["local"], key: "local", want: true },
  { service: "domain", entries: ["*.b"], key: "a.b", want: true },
  { service: "domain", entries: ["a.b"], key: "A.B", want: true },
  { service: "domain", entries: ["a.b/c"], key: "a.b", want: false },
  { service: "regex", entries: ["^ab+$"], key: "abb", want: true },
  { service: "string", entries: ["*"], key: "a", want: false },
] as const;
for (const { service, entries, key, want } of found) {
  Deno.test(`Table: the ${service} list { "${entries}" } ${want ? "has" : "has not"} ${key}`, () => {
    const table = new Table({ name: "t", kind: "list", entries: entries.map((entry) => [entry, ""]) }, "+");
    assert.equal(table.check(service, key), want);
  });
}
