/** What is full forgets its oldest entry. */

import assert from "node:assert/strict";
import { BoundedMap, BoundedSet } from "../src/bounded_map.ts";

Deno.test("a full BoundedMap forgets the entry that was set longest ago", () => {
  const map = new BoundedMap<string, number>(2).set("one", 1).set("two", 2);
  map.set("one", 11);
  assert.deepEqual([...map], [["two", 2], ["one", 11]]);
  map.set("three", 3);
  assert.deepEqual([...map], [["one", 11], ["three", 3]]);
  assert.equal(map.get("two"), undefined);
});

Deno.test("a full BoundedSet forgets the value that was added longest ago", () => {
  const set = new BoundedSet<string>(2).add("one").add("two");
  set.add("one").add("three");
  assert.deepEqual([...set], ["one", "three"]);
});
