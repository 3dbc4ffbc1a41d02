/** What lookup asks of main: how often, how much at once, and what becomes of odd answers. */

import assert from "node:assert/strict";
import { MainClient } from "../../src/lookup/mod.ts";
import { DoorChannel, type Transport } from "../../src/isolate/mod.ts";
import type {
  Account,
  AnswerOfMain,
  Forward,
  LookupToMain,
  MainToLookup,
  QuestionToMain,
} from "../../src/protocol/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";
import { FakeClock } from "../fake_clock.ts";

const bob: Account = { name: "bob", uid: 1000, gid: 1000, home: "/home/bob" };
const eve: Account = { name: "eve", uid: 1001, gid: 1001, home: "/home/eve" };

/** A client, the posts that reached main, and a clock. */
function clientOf() {
  const posts: (readonly QuestionToMain[])[] = [];
  let receive = (_post: unknown) => {};
  const transport: Transport = {
    post: (messages) => void posts.push(messages as readonly QuestionToMain[]),
    receive: ({ onpost }) => receive = onpost,
    close: () => {},
  };
  const door = new DoorChannel<LookupToMain, MainToLookup>();
  door.attach(transport);
  const clock = new FakeClock(0);
  const harness = new MainClient(door, clock);
  const reply = (result: AnswerOfMain["result"], mine: (question: QuestionToMain) => boolean) => {
    const asked = posts.splice(0).flat();
    posts.push(asked.filter((question) => !mine(question)));
    receive(asked.filter(mine).map(({ type, call }) => ({ type, call, result })));
  };
  /** Answers all questions that are not about files. */
  const answer = (result: AnswerOfMain["result"]) => reply(result, ({ type }) => type !== "forward");
  /** Files that main was asked for. */
  const reading = () => posts.flat().filter((question) => question.type === "forward");
  /** Answers all questions about files. */
  const found = async (result: Forward | { error: string }) => {
    await turn();
    reply(result, ({ type }) => type === "forward");
  };
  return { harness, receive: (post: readonly MainToLookup[]) => receive(post), posts, clock, answer, reading, found };
}
const turn = () => new Promise<void>((resolve) => queueMicrotask(resolve));
const text = { kind: "text", path: "/home/bob/.forward", text: "eve\n" } as const;

Deno.test("MainClient posts what is asked in one turn at once, and the same question once", async () => {
  const { harness, posts, answer } = clientOf();
  const asked = [harness.account("bob"), harness.account("bob"), harness.account("eve")];
  await turn();
  assert.deepEqual(posts.map((post) => post.length), [2]);
  answer(null);
  assert.deepEqual(await Promise.all(asked), [null, null, null]);
});

Deno.test("MainClient has the same file read once for all who ask for it meanwhile", async () => {
  const { harness, reading, found } = clientOf();
  const asked = [
    harness.forward(bob, ""),
    harness.forward(bob, ""),
    harness.forward(eve, ""),
    harness.forward(bob, "+x"),
  ];
  await turn();
  assert.deepEqual(reading().map(({ who, suffix }) => who.name + suffix), ["bob", "eve", "bob+x"]);
  await found(text);
  assert.deepEqual(await Promise.all(asked), [text, text, text, text]);
});

Deno.test("MainClient takes a file that cannot be had for a refusal that passes, and remembers none", async () => {
  const { harness, found } = clientOf();
  const asked = harness.forward(bob, "");
  await found({ error: "The files of this user do not answer" });
  assert.deepEqual(await asked, {
    kind: "refused",
    temporary: true,
    reason: "/home/bob/.forward: The files of this user do not answer",
  });
  assert.equal(harness.knownForward(bob, ""), undefined);
});

Deno.test("MainClient asks main for no path that leads out of the home", async () => {
  const { harness, reading, found } = clientOf();
  for (const suffix of ["+a/../../etc/shadow", "+a\0b", `+${"x".repeat(200)}`]) void harness.forward(bob, suffix);
  await turn();
  assert.deepEqual(reading().map(({ suffix }) => suffix), [""], "the plain .forward stands for all of them");
  await found(text);
  assert.deepEqual(await harness.forward({ ...bob, home: "relative" }, ""), { kind: "none" });
  assert.deepEqual(await harness.forward({ ...bob, home: "/a\0" }, ""), { kind: "none" });
  await turn();
  assert.deepEqual(reading(), []);
});

Deno.test("MainClient remembers a .forward for a second, by user, home and suffix", async () => {
  const { harness, clock, found } = clientOf();
  assert.equal(harness.knownForward(bob, ""), undefined);
  const asked = harness.forward(bob, "");
  await found({ kind: "none" });
  await asked;
  clock.advance(999 - clock.now());
  assert.deepEqual(harness.knownForward(bob, ""), { kind: "none" });
  assert.equal(harness.knownForward(bob, "+x"), undefined);
  assert.equal(harness.knownForward({ ...bob, home: "/elsewhere" }, ""), undefined);
  assert.equal(harness.knownForward({ ...bob, uid: 1 }, ""), undefined);
  clock.advance(1000 - clock.now());
  assert.equal(harness.knownForward(bob, ""), undefined);
});

Deno.test("MainClient remembers who there is and who there is not, but no failure", async () => {
  const { harness, answer } = clientOf();
  const ask = async (name: string, result: AnswerOfMain["result"]) => {
    const asked = harness.account(name);
    await turn();
    answer(result);
    return await asked;
  };
  assert.deepEqual(await ask("bob", bob), bob);
  assert.equal(await ask("nobody", null), null);
  assert.ok(await ask("eve", { error: "no directory" }) instanceof LookupError);
  assert.deepEqual([harness.knownAccount("bob"), harness.knownAccount("nobody")], [bob, null]);
  assert.equal(harness.knownAccount("eve"), undefined);
});

Deno.test("MainClient passes over answers to no question", () => {
  const { receive } = clientOf();
  receive([{ type: "account", call: 99, result: bob }]);
});

Deno.test("MainClient asks no more when too many questions wait", async () => {
  const { harness, answer, found } = clientOf();
  const waiting = Array.from({ length: 20_000 }, (_, index) => harness.forward({ ...bob, uid: index }, ""));
  const names = Array.from({ length: 20_000 }, (_, index) => harness.account(`${index}`));
  const refused = await harness.forward(eve, "");
  assert.ok(refused.kind === "refused" && refused.temporary);
  assert.ok(await harness.account("eve") instanceof LookupError);
  await turn();
  answer(null);
  await found({ kind: "none" });
  await Promise.all([...waiting, ...names]);
});
