/** Evaluations that lack answers: they run again, and only as often as they must. */

import assert from "node:assert/strict";
import { Resumable } from "../../src/tables/mod.ts";

Deno.test("settle() answers at once when nothing is missing", () => {
  assert.equal(new Resumable().settle(() => 7), 7);
});

Deno.test("settle() asks for each answer once and runs again with the answer", async () => {
  const evaluation = new Resumable();
  const asked: string[] = [];
  let runs = 0;
  const answer = (key: string) => evaluation.need(key, () => (asked.push(key), Promise.resolve(key.toUpperCase())));
  const result = await evaluation.settle(() => (runs++, answer("a") + answer("b") + answer("a")));
  assert.equal(result, "ABA");
  assert.deepEqual(asked, ["a", "b"]);
  assert.equal(runs, 3);
});

Deno.test("settle() keeps the answers of two evaluations apart", async () => {
  const evaluation = new Resumable();
  let answer = 0;
  const evaluate = () => evaluation.need("key", () => Promise.resolve(++answer));
  assert.deepEqual(await Promise.all([evaluation.settle(evaluate), evaluation.settle(evaluate)]), [1, 2]);
});

Deno.test("settle() rejects when a question does, and when the evaluation throws", async () => {
  const evaluation = new Resumable();
  await assert.rejects(
    async () => await evaluation.settle(() => evaluation.need("key", () => Promise.reject(new Error("no answer")))),
    /no answer/,
  );
  assert.throws(() =>
    evaluation.settle(() => {
      throw new Error("a bug");
    }), /a bug/);
});

Deno.test("need() outside of an evaluation is a mistake of ours", () => {
  assert.throws(() => new Resumable().need("key", () => Promise.resolve(1)), /outside/);
});
