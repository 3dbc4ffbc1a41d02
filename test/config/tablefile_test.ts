/** Table files: what is a list, what is a map, and how entries are kept. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { StaticTable } from "../../src/config/mod.ts";
import { compareKeys, splitTableLine, tableKey } from "../../src/config/tablefile.ts";
import { readTableFile } from "./helper.ts";

interface Row {
  readonly name: string;
  readonly text: string;
  readonly want: readonly [StaticTable["kind"], ...[string, string][]];
}

const MAP_ENTRY = 'an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)';

const rows: readonly Row[] = [
  { name: "an empty file is a map", text: "", want: ["map"] },
  { name: "comments alone are a map", text: "# a\n\n  # b\n", want: ["map"] },
  { name: "keys alone are a list", text: "a\nb\n", want: ["list", ["a", ""], ["b", ""]] },
  {
    name: "entries are sorted by their bytes",
    text: "b\na\nB2\n_\n",
    want: ["list", ["_", ""], ["a", ""], ["b", ""], ["b2", ""]],
  },
  {
    name: "of two entries with one key the last stands",
    text: "a x\nb y\nA z\n",
    want: ["map", ["a", "z"], ["b", "y"]],
  },
  { name: "keys are lower-case, values are not", text: "Alice Bob\n", want: ["map", ["alice", "Bob"]] },
  { name: "only ASCII letters change case", text: "ÀB\n", want: ["list", ["Àb", ""]] },
  { name: "blanks and carriage returns around a line are gone", text: " \ta b \t\r\n", want: ["map", ["a", "b"]] },
  {
    name: "a colon, a blank or a tab ends the key",
    text: "a:x\nb y\nc\tz\n",
    want: ["map", ["a", "x"], ["b", "y"], ["c", "z"]],
  },
  { name: "blanks after the separator are gone", text: "a:  x\nb \t y\n", want: ["map", ["a", "x"], ["b", "y"]] },
  { name: "a colon between blanks is a separator", text: "a : x\n", want: ["map", ["a", "x"]] },
  {
    name: "a value may begin with a colon",
    text: "a :include:/x\nb: :include:/y\n",
    want: ["map", ["a", ":include:/x"], ["b", ":include:/y"]],
  },
  { name: "a value is kept as it is", text: 'a: x, "y  z" # w\n', want: ["map", ["a", 'x, "y  z" # w']] },
  {
    name: "a key in brackets goes to its bracket",
    text: "[2001:db8::1] mx\n[::1]: lo\n",
    want: ["map", ["[2001:db8::1]", "mx"], ["[::1]", "lo"]],
  },
  {
    name: "an IPv6 address keeps its colons without brackets too",
    text: "192.0.2.1 v4\n2001:db8::1  v6\n2001:DB8::2: v6b\n::1 lo\n::ffff:192.0.2.7 m\n1:2:3:4:5:6:7:8 x\n",
    want: [
      "map",
      ["192.0.2.1", "v4"],
      ["1:2:3:4:5:6:7:8", "x"],
      ["2001:db8::1", "v6"],
      ["2001:db8::2", "v6b"],
      ["::1", "lo"],
      ["::ffff:192.0.2.7", "m"],
    ],
  },
  {
    name: "what only looks like one does not",
    text: "dad:bee:fee\nabba: a::b\ncafe: x\n",
    want: ["map", ["abba", "a::b"], ["cafe", "x"], ["dad", "bee:fee"]],
  },
  {
    name: "IPv6 addresses and networks alone are a list",
    text: "2001:db8::/32\n192.0.2.1\n::1\n",
    want: ["list", ["192.0.2.1", ""], ["2001:db8::/32", ""], ["::1", ""]],
  },
  { name: "bracketed keys alone are a list", text: "[2001:db8::/32]\n", want: ["list", ["[2001:db8::/32]", ""]] },
  {
    name: "@list makes a list of what looks like a map",
    text: "# @list\n2001:db8::/32\nx y\n",
    want: ["list", ["2001:db8::/32", ""], ["x y", ""]],
  },
  {
    name: "@list after the first entry is a comment",
    text: "a b\n# @list\nc d\n",
    want: ["map", ["a", "b"], ["c", "d"]],
  },
  { name: "a list goes on as a list", text: "a\nb c\n", want: ["list", ["a", ""], ["b c", ""]] },
  { name: "a last line without a newline counts", text: "a b\nc d", want: ["map", ["a", "b"], ["c", "d"]] },
  { name: "a key of 1023 characters is one", text: "k".repeat(1023), want: ["list", ["k".repeat(1023), ""]] },
];

for (const { name, text, want: [kind, ...entries] } of rows) {
  Deno.test(`scanTableFile(): ${name}`, () => assert.deepEqual(readTableFile(text), { ok: true, kind, entries }));
}

const wrong = [
  { name: "a map's line without a value", text: "a b\n\nc\n", line: 3, message: MAP_ENTRY },
  { name: "a map's line with a separator and no value", text: "a:\n", line: 1, message: MAP_ENTRY },
  { name: "a line without a key", text: ": b\n", line: 1, message: MAP_ENTRY },
  { name: "a bracket that is not closed", text: "[::1 a\n", line: 1, message: MAP_ENTRY },
  { name: "a bracket that is followed by a word", text: "[::1]x a\n", line: 1, message: MAP_ENTRY },
  { name: "a key that is too long", text: "a\n" + "k".repeat(1024), line: 2, message: "key is too long" },
];

for (const { name, text, line, message } of wrong) {
  Deno.test(`scanTableFile() refuses ${name}`, () =>
    assert.deepEqual(readTableFile(text), { ok: false, line, message }));
}

Deno.test("splitTableLine() keeps a key without a value apart from an empty value", () => {
  assert.deepEqual(splitTableLine("a"), { key: "a", value: null });
  assert.deepEqual(splitTableLine("a:b"), { key: "a", value: "b" });
});

Deno.test("compareKeys() orders by UTF-8 bytes where UTF-16 would not", () => {
  const keys = ["\u{1f600}", "\uff5e", "z", "é", ""];
  const encoder = new TextEncoder();
  const byBytes = keys.toSorted((a, b) => Buffer.compare(encoder.encode(a), encoder.encode(b)));
  assert.deepEqual(keys.toSorted(compareKeys), byBytes);
  assert.deepEqual(byBytes, ["", "z", "é", "\uff5e", "\u{1f600}"]);
});

Deno.test("tableKey() is what a key looks like in a table", () =>
  assert.equal(tableKey("Info@Example.ORG"), "info@example.org"));
