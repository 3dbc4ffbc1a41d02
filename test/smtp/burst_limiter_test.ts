/** Many at once: connections and ends in portions, and those whose octets are thrown away one portion after the other. */

import { strict as assert } from "node:assert";
import { BurstLimiter } from "../../src/smtp/burst_limiter.ts";
import { FairTurns, type TurnTaker } from "../../src/smtp/fair_turns.ts";

/** Rounds of an event loop, and timers that run on request. */
class Loop {
  readonly #rounds: (() => void)[] = [];
  readonly #timers = new Set<() => void>();
  readonly clock = {
    soon: (run: () => void) => void this.#rounds.push(run),
    every: (_ms: number, run: () => void) => {
      this.#timers.add(run);
      return () => this.#timers.delete(run);
    },
  };

  round(): void {
    for (const run of this.#rounds.splice(0)) run();
  }

  time(): void {
    for (const run of [...this.#timers]) run();
  }

  get idle(): boolean {
    return this.#rounds.length === 0 && this.#timers.size === 0;
  }
}

Deno.test("of 100 that come at once some have their turn, the others in the next rounds, in order", () => {
  const loop = new Loop();
  const limiter = new BurstLimiter(loop.clock);
  const done: number[] = [];
  for (let job = 0; job < 100; job++) limiter.admit(() => done.push(job));
  const portion = done.length;
  assert.ok(portion > 0 && portion <= 20, `${portion} in one round`);
  limiter.admit(() => done.push(100));
  for (let rounds = 1; done.length < 101; rounds++) {
    assert.equal(done.length, portion * rounds);
    loop.round();
  }
  assert.deepEqual(done, Array.from({ length: 101 }, (_, job) => job));
  loop.round();
  loop.round();
  assert.ok(loop.idle, "nothing runs when nobody comes");
});

Deno.test("one who comes alone has its turn at once, and so has each that comes a round later", () => {
  const loop = new Loop();
  const limiter = new BurstLimiter(loop.clock);
  let done = 0;
  for (let job = 1; job <= 100; job++) {
    limiter.admit(() => done++);
    assert.equal(done, job);
    loop.round();
  }
});

Deno.test("at the end all that wait have their turn", () => {
  const loop = new Loop();
  const limiter = new BurstLimiter(loop.clock);
  let done = 0;
  for (let job = 0; job < 100; job++) limiter.admit(() => done++);
  limiter.flush();
  assert.equal(done, 100);
});

Deno.test("500 whose octets are thrown away have their turns in portions, again and again, and those who are gone none", () => {
  const loop = new Loop();
  const turns = new FairTurns(loop.clock);
  const counts = new Array<number>(500).fill(0);
  let now = 0;
  const takers: TurnTaker[] = counts.map((_, index) => ({
    costly: false,
    turn: () => {
      counts[index]!++;
      now++;
      if (counts[index]! < 2) turns.addLate(takers[index]!);
    },
  }));
  for (const taker of takers) turns.addLate(taker);
  assert.equal(now, 0, "nobody has it at once");
  turns.delete(takers[7]!);
  for (let looks = 0; !loop.idle; looks++) {
    assert.ok(looks < 1000, "they come to an end");
    now = 0;
    loop.time();
    assert.ok(now <= 10, `${now} at a time`);
  }
  assert.ok(counts.every((count, index) => count === (index === 7 ? 0 : 2)));
  assert.equal(turns.crowded, false);
});

Deno.test("rounds follow at once, but behind a costly turn others have their time first", () => {
  const loop = new Loop();
  const turns = new FairTurns(loop.clock);
  const done: string[] = [];
  for (const [name, costly] of [["a", false], ["b", true], ["c", false], ["d", false]] as const) {
    turns.add({ costly, turn: () => done.push(name) });
  }
  loop.round();
  loop.round();
  loop.round();
  assert.deepEqual(done, ["a", "b"], "the next waits for a timer");
  loop.time();
  loop.round();
  assert.deepEqual(done, ["a", "b", "c", "d"]);
  assert.ok(loop.idle);
});
