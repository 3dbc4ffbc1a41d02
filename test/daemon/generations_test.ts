/** Configurations that are no more in use: when they are forgotten, and when their sessions have to end. */

import assert from "node:assert/strict";
import { GENERATION_GRACE_MS, Generations, MAX_OLD_GENERATIONS } from "../../src/daemon/generations.ts";
import { FakeClock } from "../fake_clock.ts";

function made(sessions: ReadonlyMap<number, number>) {
  const clock = new FakeClock(0), said: string[] = [];
  const generations = new Generations({
    sessionsOf: (generation) => sessions.get(generation) ?? 0,
    retire: (generation) => void said.push(`retire ${generation}`),
    forget: (generation) => void said.push(`forget ${generation}`),
  }, clock);
  return { clock, said, generations };
}

Deno.test("a generation without sessions is forgotten at once, another with the last of them", () => {
  const sessions = new Map([[1, 2]]);
  const { said, generations } = made(sessions);
  generations.add(0);
  generations.add(1);
  assert.deepEqual(said, ["forget 0"]);
  assert.deepEqual([generations.older, generations.sessions], [[1], 2]);
  sessions.delete(1);
  generations.end(1);
  generations.end(1);
  assert.deepEqual(said, ["forget 0", "forget 1"]);
});

Deno.test("sessions that are older than the grace time are to end, once", () => {
  const { clock, said, generations } = made(new Map([[0, 1], [1, 1]]));
  generations.add(0);
  clock.advance(GENERATION_GRACE_MS - 1);
  generations.add(1);
  assert.deepEqual(said, []);
  clock.advance(1);
  assert.deepEqual(said, ["retire 0"]);
  generations.end(1);
  clock.advance(2 * GENERATION_GRACE_MS);
  assert.deepEqual(said, ["retire 0", "forget 1"]);
});

Deno.test("with too many generations the sessions of the oldest are to end; nothing is due once the daemon ends", () => {
  const { clock, said, generations } = made(new Map(Array.from({ length: 200 }, (_, at) => [at, 1])));
  for (let generation = 0; generation < MAX_OLD_GENERATIONS; generation++) generations.add(generation);
  assert.deepEqual(said, []);
  generations.add(MAX_OLD_GENERATIONS);
  assert.deepEqual(said, ["retire 0"]);
  generations.close();
  clock.advance(2 * GENERATION_GRACE_MS);
  assert.deepEqual(said, ["retire 0"]);
});
