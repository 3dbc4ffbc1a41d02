/** An isolate that reports without end fills neither the log nor the time of control. */

import assert from "node:assert/strict";
import { EventFlow, MAX_SECOND_EVENTS } from "../../src/control/flow.ts";

Deno.test("so many events of a second are taken, the rest is left out and counted, and the next second begins anew", () => {
  let now = 0;
  const reported: number[] = [];
  const flow = new EventFlow(() => now, (leftOut) => reported.push(leftOut));
  const taken = (count: number) => {
    let sum = 0;
    for (let event = 0; event < count; event++) if (flow.take()) sum++;
    return sum;
  };
  assert.equal(taken(MAX_SECOND_EVENTS + 1000), MAX_SECOND_EVENTS);
  now += 999;
  assert.equal(taken(10), 0);
  assert.deepEqual(reported, []);
  now += 1;
  assert.equal(taken(10), 10);
  assert.deepEqual(reported, [1010]);
  now += 1000;
  assert.equal(taken(2 * MAX_SECOND_EVENTS), MAX_SECOND_EVENTS);
  now += 60_000;
  assert.equal(taken(1), 1);
  assert.deepEqual(reported, [1010, MAX_SECOND_EVENTS]);
});

Deno.test("a slow stream is never cut, however long it goes on", () => {
  let now = 0;
  const flow = new EventFlow(() => now, () => assert.fail("something was left out"));
  for (let event = 0; event < 4 * MAX_SECOND_EVENTS; event++) {
    now += 0.1;
    assert.ok(flow.take());
  }
});
