/** What main answers to lookup: accounts of the name service, a few at a time. */

import assert from "node:assert/strict";
import type { Channel } from "../../src/isolate/mod.ts";
import type { Account, Forward, LookupToMain, MainToLookup } from "../../src/protocol/mod.ts";
import { LookupRequests, type ReadForward } from "../../src/daemon/lookup_requests.ts";
import { NameService } from "../../src/daemon/machine/name_service.ts";
import { FakeClock } from "../fake_clock.ts";

/** Main's side of the door to a lookup isolate; `received` gets what is answered. */
function doorOf(received: (answer: MainToLookup) => void): Channel<MainToLookup, LookupToMain> {
  return { send: received, onmessage: () => {}, onreset: () => {} };
}

const noReader: ReadForward = () => assert.fail("nobody reads");

/** Requests of lookup and what was answered; `done` resolves when `count` answers are there. */
function harnessOf(names: Pick<NameService, "find">, read: ReadForward = noReader) {
  const batches: (readonly MainToLookup[])[] = [];
  let wake = () => {};
  const requests = new LookupRequests(names);
  const enter = () => {
    const channel = doorOf((answer) => (batches.push([answer]), wake()));
    requests.serve(channel, read);
    return channel;
  };
  const channel = enter();
  const done = async (count: number) => {
    while (batches.flat().length < count) await new Promise<void>((resolve) => wake = resolve);
    return batches.flat();
  };
  return { channel, enter, batches, done };
}

Deno.test("LookupRequests gives the successor of a lookup isolate no answer to what the old one asked", async () => {
  const asked = Promise.withResolvers<null>();
  const { channel, enter, batches, done } = harnessOf({
    find: (name) => name === "slow" ? asked.promise : Promise.resolve(null),
  });
  channel.onmessage({ type: "account", call: 1, name: "slow" });
  channel.onreset();
  enter().onmessage({ type: "account", call: 1, name: "quick" });
  await done(1);
  asked.resolve(null);
  await asked.promise;
  await Promise.resolve();
  assert.equal(batches.flat().length, 1);
});

Deno.test("names that hang take no more than their share of the threads, and whoever is known is served", async () => {
  const hanging = new Map<string, PromiseWithResolvers<null>>();
  const timers: (() => void)[] = [];
  const answered = new Map<number, unknown>();
  let wake = () => {};
  const channel = doorOf((one) => {
    if ("call" in one) answered.set(one.call, one.result);
    wake();
  });
  const requests = new LookupRequests(
    {
      find: (name) => {
        if (!name.startsWith("hang")) return Promise.resolve({ name, uid: 1, gid: 1, home: "/" });
        assert.ok(!hanging.has(name), "one thread for each name");
        const asked = Promise.withResolvers<null>();
        hanging.set(name, asked);
        return asked.promise;
      },
    },
    undefined,
    {
      after(_ms, run) {
        timers.push(run);
        return () => void timers.splice(timers.indexOf(run), 1);
      },
    },
  );
  requests.serve(channel, noReader);
  let call = 0;
  const ask = (...names: string[]) => {
    const first = call + 1;
    for (const name of names) channel.onmessage({ type: "account", call: ++call, name });
    return first;
  };
  const received = async (number: number) => {
    while (!answered.has(number)) await new Promise<void>((resolve) => wake = resolve);
  };
  const late = () => {
    for (const run of timers.splice(0)) run();
  };
  await received(ask("alice"));
  ask(...Array.from({ length: 200 }, (_, index) => `hang${index}`));
  assert.equal(hanging.size, 12);
  await received(ask("alice"));
  const bob = ask("bob");
  // Bob is new, and waits until those before him are known to hang.
  for (let turns = 0; turns < 20; turns++) late();
  assert.equal(hanging.size, 64 + 12, "so many hang at one time, and so many more are being asked for");
  await received(ask("alice"));
  assert.ok(!answered.has(bob));
  // Whoever asks for one of them again waits with the others.
  const again = ask("hang0");
  hanging.get("hang0")!.resolve(null);
  await received(again);
  for (let index = 0; index < 200; index++) {
    hanging.get(`hang${index}`)?.resolve(null);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await received(bob);
});

Deno.test("LookupRequests passes over what is no question", () => {
  const { channel, batches } = harnessOf({ find: () => assert.fail("nobody is looked for") });
  const odd = [
    null,
    {},
    { type: "forward", call: 1, who: { name: "bob", uid: 1, gid: 1, home: "/" }, suffix: "/../../etc/shadow" },
    { type: "forward", call: 1, who: { name: "bob", uid: 1, gid: 1, home: "/" }, suffix: "a\0" },
    { type: "forward", call: 1, who: { name: "bob", uid: 1, gid: 1, home: "/" }, suffix: "x".repeat(201) },
    { type: "forward", call: 1, who: { name: "bob", uid: 1, gid: 1, home: "home" }, suffix: "" },
    { type: "forward", call: 1, who: { name: "bob", uid: 1, gid: 1, home: "/\0" }, suffix: "" },
    { type: "forward", call: 1, who: null, suffix: "" },
    { type: "account", call: 1, name: 7 },
    { type: "account", call: 1, name: "x".repeat(300) },
  ];
  for (const one of odd) channel.onmessage(one as unknown as LookupToMain);
  assert.deepEqual(batches, []);
});

Deno.test("LookupRequests answers with the reason when the name service breaks", async () => {
  const { channel, done } = harnessOf({ find: () => Promise.reject(new Error("No directory")) });
  channel.onmessage({ type: "account", call: 3, name: "bob" });
  assert.deepEqual(await done(1), [{ type: "account", call: 3, result: { error: "Error: No directory" } }]);
});

const bob: Account = { name: "bob", uid: 1000, gid: 1000, home: "/home/bob" };
const asksForward = (call: number, suffix = "") => ({ type: "forward", call, who: bob, suffix }) as const;

Deno.test("LookupRequests has a .forward read, and answers with what it holds or why it cannot be had", async () => {
  const text: Forward = { kind: "text", path: "/home/bob/.forward+x", text: "eve\n" };
  const read: ReadForward = (who, suffix) => {
    assert.deepEqual(who, bob);
    return suffix === "+x" ? Promise.resolve(text) : Promise.reject(new Error("The files of this user do not answer"));
  };
  const { channel, done } = harnessOf({ find: () => assert.fail("nobody is looked for") }, read);
  channel.onmessage(asksForward(1, "+x"));
  channel.onmessage(asksForward(2));
  assert.deepEqual(await done(2), [
    { type: "forward", call: 1, result: text },
    { type: "forward", call: 2, result: { error: "The files of this user do not answer" } },
  ]);
});

Deno.test("LookupRequests has no more files read at one time than lookup keeps to twice over", async () => {
  const { promise, resolve } = Promise.withResolvers<Forward>();
  let reading = 0;
  const { channel, done } = harnessOf({ find: () => assert.fail("nobody is looked for") }, () => (reading++, promise));
  for (let call = 1; call <= 40_001; call++) channel.onmessage(asksForward(call));
  const refused = { type: "forward", call: 40_001, result: { error: "Too many questions wait for an answer" } };
  assert.deepEqual(await done(1), [refused]);
  assert.equal(reading, 40_000);
  resolve({ kind: "none" });
  await done(40_001);
  channel.onmessage(asksForward(40_002));
  assert.deepEqual((await done(40_002)).at(-1), { type: "forward", call: 40_002, result: { kind: "none" } });
});

Deno.test({
  name: "NameService knows root, and nobody of a name that there is not",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const names = new NameService();
    assert.deepEqual(await names.find("root"), { name: "root", uid: 0, gid: 0, home: "/root" });
    assert.equal(await names.find("no-such-user-here"), null);
    assert.equal(await names.find("a\0b"), null);
    assert.equal(await names.find(""), null);
    names.close();
  },
});

Deno.test("lookup is asked for TXT records, and what it does not answer is temporary", async () => {
  const asked: MainToLookup[] = [], clock = new FakeClock();
  const requests = new LookupRequests({ find: () => Promise.resolve(null) }, undefined, clock);
  const name = "a._domainkey.example.org", temporary = { kind: "temporary" };
  assert.deepEqual(await requests.txt(name), temporary, "there is no lookup yet");
  const channel = doorOf((message) => void asked.push(message));
  requests.serve(channel, noReader);
  const answered = requests.txt(name), late = requests.txt(name);
  assert.deepEqual(asked, [1, 2].map((question) => ({ type: "dns", kind: "txt", question, name })));
  const answer = { kind: "records", records: ["v=DKIM1; p="] } as const;
  channel.onmessage({ type: "dns-answer", question: 1, answer });
  assert.deepEqual(await answered, answer);
  clock.advance(29_999);
  channel.onmessage({ type: "dns-answer", question: 1, answer: { kind: "temporary" } });
  assert.equal(await Promise.race([late, Promise.resolve("waits")]), "waits");
  clock.advance(1);
  assert.deepEqual(await late, temporary);
  const replaced = requests.txt(name);
  channel.onreset();
  assert.deepEqual(await replaced, temporary);
});
