/** What lookup asks of main: how often, how much at once, and what becomes of odd answers. */

import assert from "node:assert/strict";
import { House } from "../../src/lookup/mod.ts";
import type { Account, HouseAnswer, HouseQuestion } from "../../src/isolate/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";

const bob: Account = { name: "bob", uid: 1000, gid: 1000, home: "/home/bob" };
const eve: Account = { name: "eve", uid: 1001, gid: 1001, home: "/home/eve" };

/** A house, the posts that reached main, and a clock. */
function houseOf() {
  const posts: (readonly HouseQuestion[])[] = [];
  const clock = { now: 0 };
  const house = new House((questions) => posts.push(questions), () => clock.now);
  const answer = (result: HouseAnswer["result"]) => {
    house.hear(posts.splice(0).flat().map(({ type, call }) => ({ type, call, result }) as HouseAnswer));
  };
  return { house, posts, clock, answer };
}
const turn = () => new Promise<void>((resolve) => queueMicrotask(resolve));
const text = { kind: "text", text: "eve\n" } as const;

Deno.test("House posts what is asked in one turn at once, and the same question once", async () => {
  const { house, posts, answer } = houseOf();
  const asked = [house.forward(bob, ""), house.forward(bob, ""), house.forward(eve, ""), house.forward(bob, "+x")];
  await turn();
  assert.deepEqual(posts.map((post) => post.length), [3]);
  answer(text);
  assert.deepEqual(await Promise.all(asked), [text, text, text, text]);
});

Deno.test("House remembers a .forward for a second, by user, home and suffix", async () => {
  const { house, clock, answer } = houseOf();
  assert.equal(house.knownForward(bob, ""), undefined);
  const asked = house.forward(bob, "");
  await turn();
  answer({ kind: "none" });
  await asked;
  clock.now = 999;
  assert.deepEqual(house.knownForward(bob, ""), { kind: "none" });
  assert.equal(house.knownForward(bob, "+x"), undefined);
  assert.equal(house.knownForward({ ...bob, home: "/elsewhere" }, ""), undefined);
  assert.equal(house.knownForward({ ...bob, uid: 1 }, ""), undefined);
  clock.now = 1000;
  assert.equal(house.knownForward(bob, ""), undefined);
});

Deno.test("House remembers who there is and who there is not, but no failure", async () => {
  const { house, answer } = houseOf();
  const ask = async (name: string, result: HouseAnswer["result"]) => {
    const asked = house.account(name);
    await turn();
    answer(result);
    return await asked;
  };
  assert.deepEqual(await ask("bob", bob), bob);
  assert.equal(await ask("nobody", null), null);
  assert.ok(await ask("eve", { error: "no directory" }) instanceof LookupError);
  assert.deepEqual([house.knownAccount("bob"), house.knownAccount("nobody")], [bob, null]);
  assert.equal(house.knownAccount("eve"), undefined);
});

Deno.test("House takes an answer of the wrong kind for a failure that passes", async () => {
  const { house, answer } = houseOf();
  const forward = house.forward(bob, "");
  const account = house.account("bob");
  await turn();
  // One answer for both: an account where a file was asked for, and a file where an account was.
  answer(null);
  assert.equal((await forward).kind, "refused");
  assert.equal(await account, null);
  const again = house.account("eve");
  await turn();
  answer(text);
  assert.ok(await again instanceof LookupError);
});

Deno.test("House passes over answers to no question", () => {
  const { house } = houseOf();
  house.hear([{ type: "forward", call: 99, result: text }]);
});

Deno.test("House asks no more when too many questions wait", async () => {
  const { house, answer } = houseOf();
  const waiting = Array.from({ length: 20_000 }, (_, index) => house.forward({ ...bob, uid: index }, ""));
  const refused = await house.forward(eve, "");
  assert.ok(refused.kind === "refused" && refused.temporary);
  assert.ok(await house.account("eve") instanceof LookupError);
  await turn();
  answer({ kind: "none" });
  await Promise.all(waiting);
});
