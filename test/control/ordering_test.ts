/** An attempt is logged behind its message, in whatever order the two doors bring them. */

import assert from "node:assert/strict";
import { Ordering } from "../../src/control/ordering.ts";

function world() {
  let now = 0;
  const sent: string[] = [];
  const ordering = new Ordering(() => now);
  const attempt = (name: string, isolate: number, life: number, number: number) =>
    ordering.after({ isolate, life, number }, () => sent.push(name));
  return { ordering, sent, attempt, pass: (ms: number) => now += ms };
}

Deno.test("an attempt waits for the message that smtp has not reported, and for no other", () => {
  const { ordering, sent, attempt } = world();
  ordering.addReporter({ isolate: 0, life: 1 }, { known: true });
  ordering.addReporter({ isolate: 1, life: 1 }, { known: true });
  ordering.reported({ isolate: 0, number: 4 });
  attempt("old", 0, 1, 4);
  attempt("new", 0, 1, 7);
  attempt("of another", 1, 1, 6);
  ordering.after(undefined, () => sent.push("of none"));
  assert.deepEqual(sent, ["old", "of none"]);
  ordering.reported({ isolate: 0, number: 7 });
  assert.deepEqual(sent, ["old", "of none", "new"]);
  ordering.reported({ isolate: 1, number: 9 });
  assert.deepEqual(sent, ["old", "of none", "new", "of another"]);
});

Deno.test("nobody waits for an isolate that has ended, nor for what a log that was replaced had received", () => {
  const { ordering, sent, attempt } = world();
  ordering.addReporter({ isolate: 0, life: 1 }, { known: true });
  attempt("before", 0, 1, 7);
  ordering.lost(0);
  attempt("after", 0, 1, 8);
  attempt("of the next", 0, 2, 9);
  assert.deepEqual(sent, ["before", "after"]);
  ordering.addReporter({ isolate: 0, life: 2 }, { known: true });
  assert.deepEqual(sent, ["before", "after"]);
  ordering.reported({ isolate: 0, number: 9 });
  assert.deepEqual(sent, ["before", "after", "of the next"]);
  ordering.addReporter({ isolate: 1, life: 1 }, { known: false });
  attempt("unknown", 1, 1, 3);
  assert.equal(sent.at(-1), "unknown");
});

Deno.test("what waits is bounded in number and in time, and sent at the end", () => {
  const { ordering, sent, attempt, pass } = world();
  ordering.addReporter({ isolate: 0, life: 1 }, { known: true });
  for (let number = 1; number <= 10_001; number++) attempt(String(number), 0, 1, number);
  assert.deepEqual(sent, ["1"]);
  pass(20_001);
  attempt("late", 0, 1, 20_000);
  assert.deepEqual(sent, ["1", "2"]);
  ordering.flush();
  assert.equal(sent.length, 10_002);
});
