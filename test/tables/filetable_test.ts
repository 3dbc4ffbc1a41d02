/** Tables that are read from files: when they are read again, and what holds meanwhile. */

import assert from "node:assert/strict";
import { FileTable, LookupError, Table, TableSet } from "../../src/tables/mod.ts";

/** A file in memory: its text is a value for every key, "!" cannot be opened. */
function make(parts: { text?: string | null; follow?: boolean; kind?: "list" | "map" | "dynamic" } = {}) {
  const house = {
    text: parts.text === undefined ? "one" : parts.text,
    now: 0,
    stamps: 0,
    warnings: [] as string[],
    closed: [] as string[],
  };
  const need = () => {
    if (house.text === null) throw new Error("No such file");
    return house.text;
  };
  const table = new FileTable({
    name: "t",
    path: "/f",
    kind: parts.kind ?? "dynamic",
    file: { read: () => new TextEncoder().encode(need()), stamp: () => (house.stamps++, need()) },
    open(bytes) {
      const value = new TextDecoder().decode(bytes);
      if (value === "!") throw new Error("damaged");
      const kind = value === "list" ? "list" : "map";
      const inner = new Table({ name: "t", kind, entries: [["a", value]] }, "+");
      return Object.assign(inner, { close: () => void house.closed.push(value) });
    },
    follow: parts.follow ?? true,
    now: () => house.now,
    warn: (text) => void house.warnings.push(text),
  });
  return Object.assign(house, { table, value: () => table.lookup("a") });
}

Deno.test("FileTable opens a changed file again, looks at it once a second at most, and closes the old content", () => {
  const house = make();
  assert.equal(house.value(), "one");
  house.text = "two";
  house.now = 999;
  assert.equal(house.value(), "one");
  assert.equal(house.stamps, 1);
  house.now = 1000;
  assert.equal(house.value(), "two");
  assert.deepEqual(house.closed, ["one"]);
  assert.deepEqual(house.warnings, []);
});

Deno.test("FileTable keeps what it had while the file is damaged or away, warns once, and recovers", () => {
  const house = make();
  house.text = "!";
  for (house.now = 1000; house.now < 5000; house.now += 1000) assert.equal(house.value(), "one");
  assert.deepEqual(house.warnings, ['warn: Table "t" keeps what it had: /f: damaged']);
  house.text = null;
  house.now = 6000;
  assert.equal(house.value(), "one");
  house.text = "two";
  house.now = 7000;
  assert.equal(house.value(), "two");
});

Deno.test("FileTable of a file that is not followed waits for the order", () => {
  const house = make({ follow: false });
  house.text = "two";
  house.now = 10_000;
  assert.equal(house.value(), "one");
  assert.equal(house.table.update(), null);
  assert.equal(house.value(), "two");
});

Deno.test("FileTable.update() says why the old content stays", () => {
  const house = make({ kind: "map" });
  house.text = "!";
  assert.equal(house.table.update(), "/f: damaged");
  house.text = null;
  assert.equal(house.table.update(), "/f: No such file");
  house.text = "list";
  assert.equal(house.table.update(), "/f: The file was a map and is a list now");
  assert.equal(house.value(), "one");
});

Deno.test("FileTable whose file cannot be read at first answers with errors until it can", () => {
  const house = make({ text: null });
  assert.deepEqual(house.warnings, ['warn: Table "t" cannot be read: /f: No such file']);
  assert.ok(house.value() instanceof LookupError);
  assert.ok(house.table.check("string", "a") instanceof LookupError);
  assert.ok(house.table.fetch() instanceof LookupError);
  assert.equal(house.table.fault, "/f: No such file");
  const local = { serverName: "mx.example.org", localAddresses: [] };
  const set = new TableSet({}, local, "+", undefined, [house.table]);
  assert.deepEqual(set.faults(), ["table <t>: /f: No such file"]);
  house.text = "two";
  house.now = 1000;
  assert.equal(house.value(), "two");
});

Deno.test("a file that cannot be read again is a fault of its table until it can, though the old content answers", () => {
  const USED = "(what it held before is still in use)";
  for (const follow of [true, false]) {
    const house = make({ follow });
    const set = new TableSet({}, { serverName: "mx.example.org", localAddresses: [] }, "+", undefined, [house.table]);
    const fault = () => (set.faults()[0] ?? "").replace("table <t>: ", "");
    assert.equal(fault(), "");
    house.text = null;
    assert.equal(fault(), `/f: No such file ${USED}`, "nobody has asked for an update");
    assert.equal(set.update("t"), "/f: No such file");
    assert.equal(fault(), `/f: No such file ${USED}`);
    house.text = "!";
    assert.equal(set.update("t"), "/f: damaged");
    assert.equal(fault(), `/f: damaged ${USED}`);
    assert.equal(house.value(), "one");
    house.text = "two";
    assert.equal(set.update("t"), null);
    assert.equal(fault(), "");
    assert.equal(house.value(), "two");
  }
  const list = make({ kind: "map" });
  list.text = "list";
  assert.equal(list.table.update(), "/f: The file was a map and is a list now");
  assert.equal(list.table.fault, `/f: The file was a map and is a list now ${USED}`);
});
