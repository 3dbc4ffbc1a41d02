/** Evaluations that lack answers: they run again, and only as often as they must. */

import assert from "node:assert/strict";
import { Resumable } from "../../src/tables/mod.ts";

Deno.test("settle() answers at once when nothing is missing", () => {
  assert.equal(new Resumable().settle(() => 7), 7);
});

Deno.test("settle() asks for each fact once and runs again with the answer", async () => {
  const facts = new Resumable();
  const asked: string[] = [];
  let runs = 0;
  const fact = (key: string) => facts.need(key, () => (asked.push(key), Promise.resolve(key.toUpperCase())));
  const result = await facts.settle(() => (runs++, fact("a") + fact("b") + fact("a")));
  assert.equal(result, "ABA");
  assert.deepEqual(asked, ["a", "b"]);
  assert.equal(runs, 3);
});

Deno.test("settle() keeps the answers of two evaluations apart", async () => {
  const facts = new Resumable();
  let answer = 0;
  const evaluate = () => facts.need("key", () => Promise.resolve(++answer));
  assert.deepEqual(await Promise.all([facts.settle(evaluate), facts.settle(evaluate)]), [1, 2]);
});

Deno.test("settle() rejects when a question does, and when the evaluation throws", async () => {
  const facts = new Resumable();
  await assert.rejects(
    async () => await facts.settle(() => facts.need("key", () => Promise.reject(new Error("no answer")))),
    /no answer/,
  );
  assert.throws(() =>
    facts.settle(() => {
      throw new Error("a bug");
    }), /a bug/);
});

Deno.test("need() outside of an evaluation is a mistake of ours", () => {
  assert.throws(() => new Resumable().need("key", () => Promise.resolve(1)), /outside/);
});
