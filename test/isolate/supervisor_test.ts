/** An isolate that dies is replaced, its neighbours are reset, and main lives on. */

import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/clock.ts";
import type { HandedSession, Role, Settings } from "../../src/protocol/mod.ts";
import { traitsOf } from "../../src/protocol/roles.ts";
import { type ReadyLimit, Supervisor } from "../../src/supervisor/supervisor.ts";
import { TOYS_CHANNEL } from "./toy.ts";

const SESSION: HandedSession = {
  type: "session",
  descriptor: 1,
  listener: 0,
  peer: { address: "local", port: 0, uid: 0 },
  sessionNumber: 1,
};

const TOYS: Partial<Record<Role, string>> = { scheduler: "mortal", queue: "queue", smtp: "shown" };

/** A system of toy isolates; `until` resolves when the line was received from the role. */
function toySystem(
  toys = TOYS,
  limit?: ReadyLimit,
  plan: { smtpIsolates?: number; pingMs?: number; needDescriptors?: () => void; clock?: Clock } = {},
) {
  const waiting: { line: string; resolve: () => void }[] = [];
  const receive = (line: string) => {
    const index = waiting.findIndex((one) => one.line === line);
    if (index >= 0) waiting.splice(index, 1)[0]!.resolve();
  };
  const until = (line: string) => new Promise<void>((resolve) => waiting.push({ line, resolve }));
  const channel = new BroadcastChannel(TOYS_CHANNEL);
  channel.onmessage = ({ data }) => receive(data);
  const refusals: string[] = [];
  const deaths: { role: Role; reason: string; delayMs: number }[] = [];
  const supervisor = new Supervisor(
    {
      settings: { smtp: { pki: {} } } as unknown as Settings,
      grants: {
        privileged: {},
        smtp: {},
        lookup: {},
        queue: {},
        scheduler: {},
        relay: {},
        delivery: {},
        mailbox: {},
        file: {},
        forward: {},
        filter: {},
        login: {},
        signer: {},
        acme: {},
        history: {},
        control: {},
      },
      counts: {
        "per-core": plan.smtpIsolates ?? 1,
        "local-delivery": 0,
        programs: 0,
        logins: 0,
        signing: 0,
        acme: 0,
        history: 0,
      },
      entry: (role) => new URL(`./${toys[role] ?? "idle"}_worker.ts`, import.meta.url),
      verbose: false,
      traces: [],
      ...plan.pingMs === undefined ? {} : { pingMs: plan.pingMs },
      needDescriptors: () => plan.needDescriptors?.(),
    },
    {
      onrefused: (text) => refusals.push(text),
      ondeath: (role, _index, reason, delayMs) => deaths.push({ role, reason, delayMs }),
    },
    limit,
    plan.clock,
  );
  const stop = async () => {
    await supervisor.stop();
    channel.close();
  };
  return { supervisor, until, deaths, refusals, stop };
}

Deno.test("Supervisor replaces an isolate that dies, with a delay that grows, and its neighbours get a new door", async () => {
  const { supervisor, until, deaths, stop } = toySystem();
  const first = until("scheduler: welcome");
  await supervisor.start();
  await first;
  for (const expectedDelayMs of [100, 200]) {
    const noticed = until("queue: scheduler went away");
    const back = until("scheduler: welcome");
    supervisor.update("scheduler", {});
    await noticed;
    await back;
    assert.equal(deaths.at(-1)!.role, "scheduler");
    assert.match(deaths.at(-1)!.reason, /made to die/);
    assert.equal(deaths.at(-1)!.delayMs, expectedDelayMs);
    // `welcome` is said before `ready`; posts are refused until then.
    while (!supervisor.living("scheduler").includes(0)) await new Promise((resolve) => setImmediate(resolve));
  }
  await stop();
});

Deno.test("an isolate for which there are no descriptors is started again later, and the others live on", async () => {
  let lacking = 0;
  const needDescriptors = () => {
    if (lacking > 0) throw new Error(`there are none, ${lacking--} times more`);
  };
  const { supervisor, until, deaths, stop } = toySystem(TOYS, undefined, { needDescriptors });
  const first = until("scheduler: welcome");
  await supervisor.start();
  await first;
  lacking = 2;
  const back = until("scheduler: welcome");
  supervisor.update("scheduler", {});
  await back;
  assert.deepEqual(
    deaths.map(({ role, reason, delayMs }) => [role, reason.replace(/.*(made to die).*/, "$1"), delayMs]),
    [
      ["scheduler", "made to die", 100],
      ["scheduler", "there are none, 2 times more", 200],
      ["scheduler", "there are none, 1 times more", 400],
    ],
  );
  await stop();
});

Deno.test("update() reaches an isolate that runs and the one that replaces it", async () => {
  const { supervisor, until, stop } = toySystem();
  const none = until("smtp: has ");
  await supervisor.start();
  await none;
  const fresh = until("smtp: has mx");
  supervisor.update("relay", { pki: { client: { cert: "", key: "" } }, ca: {} });
  supervisor.update("smtp", { pki: { mx: { cert: "", key: "" } }, ca: {} });
  await fresh;
  const replaced = until("smtp: has mx");
  assert.ok(supervisor.post("smtp-main", 0, SESSION));
  await replaced;
  await stop();
});

Deno.test("a queue that has a database to repair is waited for at start, as long as it answers", async () => {
  const expire: (() => void)[] = [];
  const { supervisor, until, stop } = toySystem({ queue: "slow" }, (each) => (expire.push(each), () => {}));
  const asked = until("queue: wait");
  const start = supervisor.start();
  await asked;
  const others = ["smtp", "lookup", "scheduler", "relay", "delivery", "control"] as const;
  while (others.some((role) => supervisor.living(role).length === 0)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (let times = 0; times < 3; times++) expire.shift()?.();
  await start;
  assert.deepEqual(supervisor.living("queue"), [0]);
  await stop();
});

Deno.test("a start fails when another isolate is not ready in time, and says which", async () => {
  const expire: (() => void)[] = [];
  const { supervisor, stop } = toySystem({ lookup: "stuck" }, (each) => (expire.push(each), () => {}));
  const failed = assert.rejects(supervisor.start(), /Not every isolate became ready: .*lookup/);
  expire.shift()!();
  await failed;
  await stop();
});

Deno.test("an isolate that loops gets no new work while another answers, and is replaced", async () => {
  let looks = 0;
  const clock: Clock = { ...systemClock, every: (ms, run) => systemClock.every(ms, () => (looks++, run())) };
  const plan = { smtpIsolates: 2, pingMs: 200, clock };
  const { supervisor, deaths, stop } = toySystem({ smtp: "looping" }, undefined, plan);
  await supervisor.start();
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise<void>((resolve) => supervisor.whenAnswering("smtp", 0, resolve));
  supervisor.post("smtp-main", 0, SESSION);
  looks = 0;
  // The other one may be late with an answer on a loaded machine, the looping one never gives one.
  while (supervisor.answering("smtp").join() !== "1") await turn();
  assert.deepEqual(supervisor.living("smtp"), [0, 1]);
  let called = false;
  supervisor.whenAnswering("smtp", 0, () => called = true);
  while (deaths.length === 0) await turn();
  // One of them may find an answer from before, and one asks.
  assert.ok(looks <= traitsOf("smtp").silentLooks! + 4, `it had ${looks} looks`);
  assert.deepEqual(deaths, [{ role: "smtp", reason: "It does not answer", delayMs: 100 }]);
  while (supervisor.living("smtp").length < 2) await turn();
  assert.equal(called, false);
  await new Promise<void>((resolve) => supervisor.whenAnswering("smtp", 0, resolve));
  await stop();
});

Deno.test("a role has stalled when its replacements do not answer either", async () => {
  const toys = { ...TOYS, smtp: "looping" };
  const { supervisor, deaths, stop } = toySystem(toys, undefined, { pingMs: 10 });
  await supervisor.start();
  toys.smtp = "silent";
  supervisor.post("smtp-main", 0, SESSION);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  while (!deaths.some(({ role }) => role === "smtp")) await turn();
  assert.ok(!supervisor.stalled.includes("smtp"), "its replacement has time to answer");
  while (!supervisor.stalled.includes("smtp")) await turn();
  await stop();
});
