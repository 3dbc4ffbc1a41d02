/** How long clients wait for replies: each reply counts from its own command, or from the end of what it answers. */

import { deepEqual } from "node:assert/strict";
import { ReplyTimes } from "../../src/smtp/reply_times.ts";

/** Lets ms pass, or says what happens. */
type Act = number | "asked" | "replied" | "ended" | "chunk";

const rows: readonly (readonly [what: string, acts: readonly Act[], want: readonly number[]])[] = [
  ["a command and its reply", ["asked", 5, "replied"], [5]],
  ["what is said unasked counts nothing", ["replied", "asked", 1, "replied", "replied"], [1]],
  ["pipelined commands have their replies in order", ["asked", 2, "asked", 3, "replied", "replied"], [5, 3]],
  ["the message counts from its end, not from DATA", ["asked", 1, "replied", 1000, "ended", 7, "replied"], [1, 7]],
  ["a chunk counts from its end: the client took its time to send it", ["asked", 900, "chunk", 4, "replied"], [4]],
];

for (const [what, acts, want] of rows) {
  Deno.test(`ReplyTimes: ${what}`, () => {
    let now = 0;
    const counted: number[] = [];
    const times = new ReplyTimes(() => now, (afterMs) => counted.push(afterMs));
    for (const act of acts) {
      if (typeof act === "number") now += act;
      else if (act === "ended" || act === "chunk") times.ended({ chunk: act === "chunk" });
      else times[act]();
    }
    deepEqual(counted, want);
  });
}

Deno.test("ReplyTimes remembers few of the commands that are sent at once", () => {
  let count = 0;
  const times = new ReplyTimes(() => 0, () => count++);
  for (let i = 0; i < 100_000; i++) times.asked();
  for (let i = 0; i < 100_000; i++) times.replied();
  deepEqual(count, 256);
});
