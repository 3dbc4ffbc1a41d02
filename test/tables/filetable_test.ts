/** Tables that are read from files: when they are read again, and what holds meanwhile. */

import assert from "node:assert/strict";
import { FileTable, LookupError, Table, TableSet } from "../../src/tables/mod.ts";

/** A file in memory: its text is a value for every key, "!" cannot be opened. */
function make(parts: { text?: string | null; follow?: boolean; kind?: "list" | "map" | "dynamic" } = {}) {
  const harness = {
    text: parts.text === undefined ? "one" : parts.text,
    now: 0,
    stamps: 0,
    warnings: [] as string[],
    closed: [] as string[],
  };
  const need = () => {
    if (harness.text === null) throw new Error("No such file");
    return harness.text;
  };
  const table = new FileTable({
    name: "t",
    path: "/f",
    kind: parts.kind ?? "dynamic",
    file: { read: () => new TextEncoder().encode(need()), stamp: () => (harness.stamps++, need()) },
    open(bytes) {
      const value = new TextDecoder().decode(bytes);
      if (value === "!") throw new Error("damaged");
      const kind = value === "list" ? "list" : "map";
      const inner = new Table({ name: "t", kind, entries: [["a", value]] }, "+");
      return Object.assign(inner, { close: () => void harness.closed.push(value) });
    },
    follow: parts.follow ?? true,
    now: () => harness.now,
    warn: (text) => void harness.warnings.push(text),
  });
  return Object.assign(harness, { table, value: () => table.lookup("a") });
}

Deno.test("FileTable opens a changed file again, looks at it once a second at most, and closes the old content", () => {
  const harness = make();
  assert.equal(harness.value(), "one");
  harness.text = "two";
  harness.now = 999;
  assert.equal(harness.value(), "one");
  assert.equal(harness.stamps, 1);
  harness.now = 1000;
  assert.equal(harness.value(), "two");
  assert.deepEqual(harness.closed, ["one"]);
  assert.deepEqual(harness.warnings, []);
});

Deno.test("FileTable keeps what it had while the file is damaged or away, warns once, and recovers", () => {
  const harness = make();
  harness.text = "!";
  for (harness.now = 1000; harness.now < 5000; harness.now += 1000) assert.equal(harness.value(), "one");
  assert.deepEqual(harness.warnings, ['warn: Table "t" keeps what it had: /f: damaged']);
  harness.text = null;
  harness.now = 6000;
  assert.equal(harness.value(), "one");
  harness.text = "two";
  harness.now = 7000;
  assert.equal(harness.value(), "two");
});

Deno.test("FileTable of a file that is not followed waits for the order", () => {
  const harness = make({ follow: false });
  harness.text = "two";
  harness.now = 10_000;
  assert.equal(harness.value(), "one");
  assert.equal(harness.table.update(), null);
  assert.equal(harness.value(), "two");
});

Deno.test("FileTable.update() says why the old content stays", () => {
  const harness = make({ kind: "map" });
  harness.text = "!";
  assert.equal(harness.table.update(), "/f: damaged");
  harness.text = null;
  assert.equal(harness.table.update(), "/f: No such file");
  harness.text = "list";
  assert.equal(harness.table.update(), "/f: The file was a map and is a list now");
  assert.equal(harness.value(), "one");
});

Deno.test("FileTable whose file cannot be read at first answers with errors until it can", () => {
  const harness = make({ text: null });
  assert.deepEqual(harness.warnings, ['warn: Table "t" cannot be read: /f: No such file']);
  assert.ok(harness.value() instanceof LookupError);
  assert.ok(harness.table.check("string", "a") instanceof LookupError);
  assert.ok(harness.table.fetch() instanceof LookupError);
  assert.equal(harness.table.fault, "/f: No such file");
  const local = { serverName: "mx.example.org", localAddresses: [] };
  const set = new TableSet({}, local, "+", undefined, [harness.table]);
  assert.deepEqual(set.faults(), ["table <t>: /f: No such file"]);
  harness.text = "two";
  harness.now = 1000;
  assert.equal(harness.value(), "two");
});

Deno.test("a file that cannot be read again is a fault of its table until it can, though the old content answers", () => {
  const USED = "(what it held before is still in use)";
  for (const follow of [true, false]) {
    const harness = make({ follow });
    const set = new TableSet({}, { serverName: "mx.example.org", localAddresses: [] }, "+", undefined, [harness.table]);
    const fault = () => (set.faults()[0] ?? "").replace("table <t>: ", "");
    assert.equal(fault(), "");
    harness.text = null;
    assert.equal(fault(), `/f: No such file ${USED}`, "nobody has asked for an update");
    assert.equal(set.update("t"), "/f: No such file");
    assert.equal(fault(), `/f: No such file ${USED}`);
    harness.text = "!";
    assert.equal(set.update("t"), "/f: damaged");
    assert.equal(fault(), `/f: damaged ${USED}`);
    assert.equal(harness.value(), "one");
    harness.text = "two";
    assert.equal(set.update("t"), null);
    assert.equal(fault(), "");
    assert.equal(harness.value(), "two");
  }
  const list = make({ kind: "map" });
  list.text = "list";
  assert.equal(list.table.update(), "/f: The file was a map and is a list now");
  assert.equal(list.table.fault, `/f: The file was a map and is a list now ${USED}`);
});
