/** The lives of a table program: a scripted process under a clock of our own. */

import assert from "node:assert/strict";
import {
  MAX_WAITING_REQUESTS,
  type ProcessHooks,
  REGISTER_MS,
  REQUEST_MS,
  type RunningProcess,
  TableKeeper,
} from "../../src/programs/mod.ts";
import type { TableAnswer, TableRequest } from "../../src/protocol/mod.ts";
import { FakeClock } from "../fake_clock.ts";

/** One life of the program: what it has received, and what it answers. */
interface FakeProcess {
  readonly hooks: ProcessHooks;
  readonly received: string[];
  ended: string | null;
}

function harness() {
  const clock = new FakeClock(1_000_000);
  const lives: FakeProcess[] = [];
  const log: string[] = [];
  let id = 0;
  const keeper = new TableKeeper({ name: "t", program: "/libexec/table-x", argument: "/f" }, {
    clock,
    start: (options, hooks): RunningProcess => {
      assert.deepEqual([options.program, options.args], ["/libexec/table-x", ["/f"]]);
      const life: FakeProcess = { hooks, received: [], ended: null };
      lives.push(life);
      return { write: (text) => void life.received.push(text.trim()), end: (reason) => void (life.ended = reason) };
    },
    id: () => String(++id).padStart(8, "0"),
    log: (_level, text) => void log.push(text),
    version: "1",
    identity: null,
    path: "",
  });
  const register = () => {
    for (const word of ["alias", "ready"]) lives.at(-1)!.hooks.online(`register|${word}`);
  };
  /** Opened and registered. */
  const open = async () => {
    const opened = keeper.open();
    register();
    await opened;
  };
  const say = (line: string) => lives.at(-1)!.hooks.online(line);
  /** The process is gone, as asked or by itself. */
  const exit = (reason?: string) =>
    lives.at(-1)!.hooks.onend(lives.at(-1)!.ended ?? reason ?? "it exited with status 0");
  return { clock, lives, log, keeper, register, open, say, exit };
}

const ask = (key: string): TableRequest => ({ op: "lookup", service: "alias", key });
const reasonOf = (answer: TableAnswer) => answer.result === "error" ? answer.reason : answer.result;

Deno.test("ask() puts one request at a time, in their order", async () => {
  const { keeper, open, lives, say } = harness();
  await open();
  const [first, second] = [keeper.ask(ask("a")), keeper.ask(ask("b"))];
  assert.equal(lives[0]!.received.length, 2, "the greeting and one request");
  say("lookup-result|00000001|found|A");
  assert.deepEqual(await first, { result: "found", value: "A" });
  assert.match(lives[0]!.received[2]!, /\|lookup\|alias\|00000002\|b$/);
  say("lookup-result|00000002|not-found");
  assert.deepEqual(await second, { result: "not-found" });
});

Deno.test("ask() waits while a program registers", async () => {
  const { keeper, open, lives, say, clock, exit, register } = harness();
  await open();
  exit("it died of SIGSEGV");
  clock.advance(100);
  const waiting = keeper.ask(ask("a"));
  assert.equal(lives[1]!.received.length, 1);
  register();
  say("lookup-result|00000001|found|A");
  assert.deepEqual(await waiting, { result: "found", value: "A" });
});

Deno.test("a program that dies answers all that waited with an error, and starts again after a growing pause", async () => {
  const { keeper, open, lives, clock, exit, log, register } = harness();
  await open();
  for (const pause of [100, 200, 400, 800]) {
    const waiting = [keeper.ask(ask("a")), keeper.ask(ask("b"))];
    exit("it died of SIGKILL");
    for (const answer of await Promise.all(waiting)) assert.match(reasonOf(answer), /died of SIGKILL/);
    assert.match(reasonOf(await keeper.ask(ask("c"))), /does not run/);
    assert.match(log.at(-1)!, new RegExp(`starts again in ${pause} ms: it died of SIGKILL`));
    const before = lives.length;
    clock.advance(pause - 1);
    assert.equal(lives.length, before, "not before its time");
    clock.advance(1);
    assert.equal(lives.length, before + 1);
    register();
    assert.match(log.at(-1)!, /runs again/);
  }
  clock.advance(60_001);
  exit("it died of SIGKILL");
  assert.match(log.at(-1)!, /in 100 ms/, "a minute of life is forgiven");
});

const violations = [
  { line: "lookup-result|99999999|found|x", reason: "an answer to another question" },
  { line: "nonsense", reason: "an answer that is no lookup-result" },
  { line: "lookup-result|00000001|found|", reason: "a malformed answer" },
];
for (const { line, reason } of violations) {
  Deno.test(`a program that says ${line} is ended and replaced`, async () => {
    const { keeper, open, lives, say, clock, exit, register } = harness();
    await open();
    const waiting = keeper.ask(ask("a"));
    say(line);
    assert.match(reasonOf(await waiting), new RegExp(reason));
    assert.equal(lives[0]!.ended, reason);
    say("lookup-result|00000001|found|late");
    exit();
    clock.advance(100);
    register();
    const next = keeper.ask(ask("b"));
    say("lookup-result|00000002|found|B");
    assert.deepEqual(await next, { result: "found", value: "B" });
  });
}

Deno.test("an answer that is late is an error, and the program is replaced", async () => {
  const { keeper, open, lives, clock } = harness();
  await open();
  const waiting = keeper.ask(ask("a"));
  clock.advance(REQUEST_MS - 1);
  assert.equal(lives[0]!.ended, null);
  clock.advance(1);
  assert.match(reasonOf(await waiting), /does not answer/);
  assert.equal(lives[0]!.ended, "it does not answer");
});

Deno.test("a request that waited too long for its turn is an error of its own", async () => {
  const { keeper, open, lives, clock, say } = harness();
  await open();
  const first = keeper.ask(ask("a"));
  clock.advance(REQUEST_MS - 10);
  const second = keeper.ask(ask("b"));
  say("lookup-result|00000001|found|A");
  await first;
  const third = keeper.ask(ask("c"));
  clock.advance(REQUEST_MS - 10);
  say("lookup-result|00000002|found|B");
  assert.deepEqual(await second, { result: "found", value: "B" });
  say("lookup-result|00000003|found|C");
  assert.deepEqual(await third, { result: "found", value: "C" });
  assert.equal(lives.length, 1);
});

Deno.test("ask() answers with an error when too many wait, and never sends a line end", async () => {
  const { keeper, open, lives } = harness();
  await open();
  assert.match(reasonOf(await keeper.ask(ask("a\nb"))), /line end/);
  assert.match(reasonOf(await keeper.ask({ op: "check", service: "domain", key: "a" })), /does not serve/);
  for (let count = 0; count < MAX_WAITING_REQUESTS; count++) void keeper.ask(ask("a"));
  assert.match(reasonOf(await keeper.ask(ask("a"))), /Too many/);
  assert.equal(lives[0]!.received.length, 2);
});

Deno.test("open() rejects when the program does not register", async () => {
  const silent = harness();
  const opened = silent.keeper.open();
  silent.clock.advance(REGISTER_MS);
  silent.exit();
  await assert.rejects(opened, /table "t": \/libexec\/table-x failed: it does not register/);
  const early = harness();
  const other = early.keeper.open();
  early.exit("it exited with status 3");
  await assert.rejects(other, /exited with status 3/);
});

Deno.test("stop() ends the program for good", async () => {
  const { keeper, open, lives, clock, exit } = harness();
  await open();
  const waiting = keeper.ask(ask("a"));
  const stopped = keeper.stop();
  assert.match(reasonOf(await waiting), /daemon stops/);
  exit();
  await stopped;
  clock.advance(1_000_000);
  assert.equal(lives.length, 1);
});

Deno.test("what a program writes to standard error is logged under the table's name", async () => {
  const { open, lives, log } = harness();
  await open();
  lives[0]!.hooks.onstderr("connected");
  assert.equal(log.at(-1), "t: connected");
});
