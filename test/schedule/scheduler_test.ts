/** The scheduler's behaviour, one sentence a test. Time is a number. */

import assert from "node:assert/strict";
import type { EnvelopeId } from "../../src/envelope/mod.ts";
import type { Ticket } from "../../src/protocol/mod.ts";
import { type Limits } from "../../src/schedule/mod.ts";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { evpid, msgid } from "../ids.ts";

const LIMITS: Limits = { maxInflight: 5000, maxPerUser: 7, maxPerDestination: 100, maxSchedule: null };
const RUNNING = { mda: false, mta: false };
const DAY = 86_400_000;

function ticket(id: EnvelopeId, more: Partial<Ticket> = {}): Ticket {
  return {
    id,
    agent: "mda",
    action: "in",
    lane: "bob",
    createdAt: 0,
    expiresAt: 4 * DAY,
    tries: 0,
    suspended: false,
    ...more,
  };
}
const id = (message: number, envelope = 1) =>
  evpid(message.toString(16).padStart(8, "0") + envelope.toString(16).padStart(8, "0"));
const jobIds = (effects: ReturnType<Scheduler["run"]>) => effects.jobs.map(({ job }) => job.ids);

Deno.test("run() sends new mail at once", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1)), 0);
  assert.deepEqual(scheduler.run(0).jobs, [
    { agent: "mda", job: { type: "job", message: "00000001", action: "in", lane: "bob", ids: [id(1)] } },
  ]);
  assert.deepEqual(scheduler.run(0).jobs, []);
});

Deno.test("add() sends new mail at once even when the clock was set back", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { createdAt: 50_000, expiresAt: DAY }), 1000);
  assert.equal(scheduler.run(1000).jobs.length, 1);
});

Deno.test("run() puts envelopes of one message, action and key in one job, others apart", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const mta = { agent: "mta", action: "out" } as const;
  scheduler.add(ticket(id(1, 1), { ...mta, lane: "a.example" }), 0);
  scheduler.add(ticket(id(1, 2), { ...mta, lane: "a.example" }), 0);
  scheduler.add(ticket(id(1, 3), { ...mta, lane: "b.example" }), 0);
  scheduler.add(ticket(id(2, 1), { ...mta, lane: "a.example" }), 0);
  assert.deepEqual(jobIds(scheduler.run(0)), [[id(1, 1), id(1, 2)], [id(1, 3)], [id(2, 1)]]);
});

Deno.test("run() puts the domains of a message into one job where they share a smarthost, and each domain keeps its own lane", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerDestination: 1, smarthostActions: ["via"] }, RUNNING);
  const via = { agent: "mta", action: "via" } as const;
  for (let at = 1; at <= 1500; at++) scheduler.add(ticket(id(1, at), { ...via, lane: `d${at}.example` }), 0);
  scheduler.add(ticket(id(2, 1), { ...via, lane: "d1.example" }), 0);
  scheduler.add(ticket(id(2, 2), { ...via, lane: "other.example" }), 0);
  scheduler.add(ticket(id(1, 2000), { agent: "mta", action: "out", lane: "d1.example" }), 0);
  const jobs = jobIds(scheduler.run(0));
  assert.deepEqual(
    jobs.map((ids) => ids.length),
    [1000, 500, 1, 1],
    "not that of another action, nor what is behind a full lane",
  );
  assert.deepEqual(jobs[2], [id(2, 2)]);
  assert.equal(scheduler.waits([id(1, 7)])[0]!.lane!.name, "d7.example");
  assert.deepEqual(scheduler.find("d1.example").ids, [id(1, 1), id(2, 1), id(1, 2000)]);
  assert.equal(scheduler.inflight, 1502);
  // One that is put off frees its own lane, and is tried again with those that are due at the same time.
  scheduler.retry(id(1, 1), 1000);
  assert.deepEqual(jobIds(scheduler.run(1000)), [[id(2, 1)]]);
  scheduler.retry(id(1, 2), 1000);
  scheduler.drop([id(2, 1)]);
  assert.deepEqual(jobIds(scheduler.run(400_000)), [[id(1, 1), id(1, 2)]]);
  // Without the smarthost the domains part.
  scheduler.configure({ ...LIMITS, maxPerDestination: 1 });
  scheduler.retry(id(1, 1), 400_000);
  scheduler.retry(id(1, 2), 400_000);
  assert.deepEqual(jobIds(scheduler.run(1_600_000)), [[id(1, 1)], [id(1, 2)]]);
  scheduler.drop(Array.from({ length: 1500 }, (_, at) => id(1, at + 1)));
  scheduler.drop([id(2, 2), id(1, 2000)]);
  assert.deepEqual([scheduler.size, scheduler.inflight], [0, 0]);
});

Deno.test("run() puts at most 1000 envelopes in a job", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  for (let i = 1; i <= 1001; i++) scheduler.add(ticket(id(1, i)), 0);
  assert.deepEqual(jobIds(scheduler.run(0)).map((ids) => ids.length), [1000, 1]);
});

Deno.test("run() holds jobs of one user above the limit and lets others pass", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 2 }, RUNNING);
  for (let i = 1; i <= 4; i++) scheduler.add(ticket(id(i)), 0);
  scheduler.add(ticket(id(9), { lane: "eve" }), 0);
  assert.deepEqual(jobIds(scheduler.run(0)).flat(), [id(1), id(9), id(2)]);
  assert.deepEqual(scheduler.states([id(1), id(3), id(7)]), [
    { id: id(1), state: "inflight", at: 0 },
    { id: id(3), state: "held", at: 0 },
    { id: id(7), state: "unknown", at: 0 },
  ]);
  scheduler.drop([id(1)]);
  assert.deepEqual(jobIds(scheduler.run(10)), [[id(3)]]);
});

Deno.test("waits() and lanes() tell what keeps a lane from sending more", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 2, maxInflight: 8 }, { mda: false, mta: true });
  for (let i = 1; i <= 3; i++) scheduler.add(ticket(id(i)), 0);
  scheduler.add(ticket(id(8), { agent: "mta", action: "out", lane: "a.example" }), 0);
  scheduler.run(0);
  const limits = (...ids: EnvelopeId[]) => scheduler.waits(ids).map(({ lane }) => lane?.limit ?? null);
  assert.deepEqual(limits(id(3), id(8), id(99)), ["jobs", "paused", null]);
  const { state, lane } = scheduler.waits([id(3)])[0]!;
  assert.equal(state.state, "held");
  assert.deepEqual(
    [lane!.name, lane!.envelopes, lane!.inflight, lane!.jobs, lane!.maxJobs],
    ["bob", 3, 2, 2, 2],
  );
  for (let i = 11; i <= 17; i++) scheduler.add(ticket(id(i), { lane: `user${i}` }), 0);
  scheduler.run(0);
  assert.deepEqual(limits(id(17)), ["room"]);
  scheduler.drop([1, 2, 11, 12, 13, 14, 15, 16].map((message) => id(message)));
  assert.deepEqual(limits(id(3), id(17)), ["open", "open"]);
  assert.deepEqual(scheduler.lanes(9).lanes.map(({ name, limit }) => [name, limit]).sort(), [
    ["a.example", "paused"],
    ["bob", "open"],
    ["user17", "open"],
  ]);
});

Deno.test("run() keeps to max-inflight, with a fifth of it for what is local", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxInflight: 10 }, RUNNING);
  for (let i = 1; i <= 20; i++) scheduler.add(ticket(id(i), { agent: "mta", lane: `${i}.example` }), 0);
  assert.equal(scheduler.run(0).jobs.length, 8);
  for (let i = 21; i <= 30; i++) scheduler.add(ticket(id(i), { lane: `user${i}` }), 0);
  assert.equal(scheduler.run(0).jobs.length, 2);
  assert.equal(scheduler.inflight, 10);
});

Deno.test("run() ends a pass after max-schedule envelopes, wants to be called again at once, and parts no message", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxSchedule: 3 }, RUNNING);
  for (let i = 1; i <= 4; i++) scheduler.add(ticket(id(i), { lane: `user${i}` }), 0);
  for (let i = 1; i <= 5; i++) scheduler.add(ticket(id(9, i), { agent: "mta", lane: "a.example" }), 0);
  const passes = [scheduler.run(5)];
  while (scheduler.nextAt() <= 5 && passes.length < 9) passes.push(scheduler.run(5));
  assert.deepEqual(passes.map((effects) => jobIds(effects).map((ids) => ids.length)), [[1, 5], [1, 1, 1], []]);
  assert.ok(scheduler.nextAt() > 5);
});

Deno.test("run() gives one destination at most a quarter of the room", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxInflight: 400 }, RUNNING);
  for (let i = 1; i <= 1000; i++) scheduler.add(ticket(id(1, i), { agent: "mta", lane: "slow.example" }), 0);
  assert.deepEqual(jobIds(scheduler.run(0)).map((ids) => ids.length), [100]);
  scheduler.add(ticket(id(2), { agent: "mta", lane: "quick.example" }), 5);
  assert.deepEqual(jobIds(scheduler.run(5)), [[id(2)]]);
});

Deno.test("run() lets lanes take turns, so that 500 messages to one domain delay no other", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxInflight: 4 }, RUNNING);
  for (let i = 1; i <= 500; i++) scheduler.add(ticket(id(i), { agent: "mta", lane: "busy.example" }), 0);
  scheduler.run(0);
  scheduler.add(ticket(id(1000), { agent: "mta", lane: "quiet.example" }), 1);
  assert.deepEqual(jobIds(scheduler.run(1)), [[id(1000)]]);
});

Deno.test("retry() tries again at the quadratic back-off", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example" }), 0);
  scheduler.run(0);
  scheduler.retry(id(1), 3000);
  assert.deepEqual(scheduler.run(3000).jobs, []);
  assert.equal(scheduler.nextAt(), 400_000);
  assert.equal(scheduler.run(399_999).jobs.length, 0);
  assert.equal(scheduler.run(400_000).jobs.length, 1);
  scheduler.retry(id(1), 400_500);
  scheduler.run(400_500);
  assert.equal(scheduler.nextAt(), 1_600_000);
});

Deno.test("retry() waits as the class of the failure says, and by the quadratic back-off without one", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example" }), 0);
  scheduler.run(0);
  let now = 0;
  for (const minutes of [5, 5, 10]) {
    scheduler.retry(id(1), now, "greylisted");
    assert.equal(scheduler.run(now + minutes * 60_000 - 1).jobs.length, 0);
    now += minutes * 60_000;
    assert.equal(scheduler.run(now).jobs.length, 1, `due ${minutes} minutes after the last attempt`);
  }
  scheduler.retry(id(1), now);
  scheduler.run(now);
  assert.equal(scheduler.nextAt(), 400_000 * 4 * 4, "attempt 4 failed without a class");
});

Deno.test("a class lets no envelope outlive its time, and none of a user wait", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example", expiresAt: 3_600_000 }), 0);
  scheduler.add(ticket(id(2)), 0);
  scheduler.run(0);
  scheduler.retry(id(1), 1_000, "mailbox-full");
  scheduler.retry(id(2), 1_000, "mailbox-full");
  assert.equal(scheduler.nextAt(), 10_000, "a local delivery has the back-off that it always had");
  assert.deepEqual(scheduler.run(3_600_000).expired, [id(1)]);
});

Deno.test("add() takes up a loaded envelope where the class of its last failure says", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const failed = { retryClass: "reputation", at: 1_000_000 } as const;
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example", tries: 1, failed }), 1_100_000);
  scheduler.add(
    ticket(id(2), { agent: "mta", lane: "a.example", tries: 1, failed: { ...failed, at: DAY } }),
    1_100_000,
  );
  scheduler.run(1_100_000);
  assert.equal(scheduler.nextAt(), 1_000_000 + 30 * 60_000);
  assert.deepEqual(jobIds(scheduler.run(1_000_000 + 30 * 60_000)), [[id(1)]]);
  assert.equal(scheduler.nextAt(), 1_100_000 + 30 * 60_000, "a clock that was ahead counts as now");
});

Deno.test("add() takes up a loaded envelope where its tries say", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example", tries: 3 }), 1_700_000);
  assert.equal(scheduler.run(1_700_000).jobs.length, 0);
  assert.equal(scheduler.nextAt(), 3_600_000);
});

Deno.test("add() ignores what it knows", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  assert.equal(scheduler.add(ticket(id(1)), 0), true);
  assert.equal(scheduler.add(ticket(id(1)), 0), false);
  assert.equal(jobIds(scheduler.run(0)).flat().length, 1);
});

Deno.test("run() expires what waits too long: at its time, in a held line, or while paused", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 1 }, RUNNING);
  scheduler.add(ticket(id(1), { expiresAt: 100_000 }), 0);
  scheduler.add(ticket(id(2), { expiresAt: 100_000 }), 0);
  scheduler.run(0);
  assert.equal(scheduler.nextAt(), 100_000, "the held one is watched, the one in flight is not");
  assert.deepEqual(scheduler.run(100_000).expired, [id(2)]);
  assert.deepEqual(scheduler.run(100_001).expired, [], "reported once");
  scheduler.drop([id(2)]);
  scheduler.retry(id(1), 100_002);
  assert.deepEqual(scheduler.run(100_002).expired, [id(1)]);
});

Deno.test("pause() stops new jobs of an agent only, and returns whether it changed", () => {
  const scheduler = new Scheduler(LIMITS, { mda: false, mta: true });
  scheduler.add(ticket(id(1), { agent: "mta", lane: "a.example" }), 0);
  scheduler.add(ticket(id(2)), 0);
  assert.deepEqual(jobIds(scheduler.run(0)), [[id(2)]]);
  assert.equal(scheduler.setPaused({ agent: "mta", paused: true }), false);
  assert.equal(scheduler.setPaused({ agent: "mta", paused: false }), true);
  assert.deepEqual(jobIds(scheduler.run(1)), [[id(1)]]);
});

Deno.test("suspend() keeps an envelope from being tried and from expiring until resumed", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { suspended: true, expiresAt: 1000 }), 0);
  scheduler.add(ticket(id(2), { expiresAt: 1000, agent: "mta", lane: "a", tries: 1 }), 0);
  assert.equal(scheduler.suspend([id(1), id(2), id(3)], 0), 1);
  assert.deepEqual(scheduler.run(5000), { jobs: [], dsns: [], expired: [] });
  assert.deepEqual(scheduler.states([id(1)])[0]?.state, "suspended");
  assert.equal(scheduler.schedule("all", { now: 5000 }).count, 0);
  assert.equal(scheduler.resume([id(1), id(2)], 5000), 2);
  assert.deepEqual(scheduler.run(5000).expired, [id(1), id(2)]);
});

Deno.test("suspend() takes hold of an envelope in flight when it comes back", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1)), 0);
  scheduler.run(0);
  assert.equal(scheduler.suspend([id(1)], 1), 1);
  assert.equal(scheduler.states([id(1)])[0]?.state, "inflight");
  scheduler.retry(id(1), 2);
  assert.equal(scheduler.run(DAY).jobs.length, 0);
  assert.equal(scheduler.states([id(1)])[0]?.state, "suspended");
});

Deno.test("schedule() makes envelopes due now: all, one message's, or one", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const late = { agent: "mta", key: "a.example", tries: 5 } as const;
  for (const each of [id(1, 1), id(1, 2), id(2, 1), id(3, 1)]) scheduler.add(ticket(each, late), 0);
  assert.equal(scheduler.run(0).jobs.length, 0);
  assert.equal(scheduler.schedule({ envelope: id(1, 2) }, { now: 1 }).count, 1);
  assert.deepEqual(jobIds(scheduler.run(1)), [[id(1, 2)]]);
  assert.equal(scheduler.schedule({ message: msgid("00000001") }, { now: 2 }).count, 1, "the other one is in flight");
  assert.equal(scheduler.schedule("all", { now: 2 }).count, 3);
  assert.deepEqual(jobIds(scheduler.run(2)), [[id(1, 1)], [id(2, 1)], [id(3, 1)]]);
});

Deno.test("schedule() and find() take those of one domain, a slice at a time", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxInflight: 100_000, maxPerDestination: 100_000 }, RUNNING);
  const wanted: string[] = [];
  for (let n = 1; n <= 9000; n++) {
    const mine = n % 3 === 0;
    if (mine) wanted.push(id(n));
    scheduler.add(
      ticket(id(n), {
        agent: "mta",
        action: n % 2 === 0 ? "a" : "b",
        lane: mine ? "a.example" : "b.example",
        tries: 5,
      }),
      0,
    );
  }
  // A local user of the same name is somebody else.
  scheduler.add(ticket(id(9001), { agent: "mda", lane: "a.example", tries: 5 }), 0);
  const found: string[] = [];
  let slices = 0, count = 0;
  for (let from: number | null = 0; from !== null; slices++) {
    const slice: { ids: string[]; next: number | null } = scheduler.find("a.example", from);
    assert.ok(slice.ids.length <= 2000);
    found.push(...slice.ids);
    from = slice.next;
  }
  assert.deepEqual(found, wanted);
  assert.equal(slices, 2);
  for (let from: number | null = 0; from !== null;) {
    const slice: { count: number; next: number | null } = scheduler.schedule({ domain: "a.example" }, { now: 1, from });
    count += slice.count;
    from = slice.next;
  }
  assert.equal(count, 3000);
  assert.equal(scheduler.run(1).jobs.length, 3000);
  assert.deepEqual(scheduler.find("c.example"), { ids: [], next: null });
});

Deno.test("lost() makes what a dead isolate had in hand due again at once", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1)), 0);
  scheduler.add(ticket(id(2), { agent: "mta", lane: "a.example" }), 0);
  scheduler.run(0);
  scheduler.lost("mda", 10);
  assert.deepEqual(jobIds(scheduler.run(10)), [[id(1)]]);
  assert.equal(scheduler.inflight, 2);
});

Deno.test("run() writes one notice a second after the first bounce of a message, with all that joined", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const bounce = { agent: "bounce", action: "", key: "" } as const;
  scheduler.add(ticket(id(1, 1), { ...bounce, createdAt: 1000 }), 1000);
  scheduler.add(ticket(id(2, 1), { ...bounce, createdAt: 1500 }), 1500);
  scheduler.add(ticket(id(1, 2), { ...bounce, createdAt: 1900 }), 1900);
  assert.deepEqual(scheduler.run(1999).dsns, []);
  assert.deepEqual(scheduler.run(2000).dsns, [{ message: "00000001", ids: [id(1, 1), id(1, 2)] }]);
  assert.deepEqual(scheduler.run(2500).dsns, [{ message: "00000002", ids: [id(2, 1)] }]);
  scheduler.retry(id(2, 1), 2600);
  scheduler.run(2600);
  assert.equal(scheduler.nextAt(), 11_500, "a notice that could not be sent is tried again 10 s after its birth");
});

Deno.test("drop() forgets envelopes in any state, in flight too, and frees their room", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 1 }, RUNNING);
  for (let i = 1; i <= 3; i++) scheduler.add(ticket(id(i)), 0);
  scheduler.add(ticket(id(4), { tries: 5 }), 0);
  scheduler.run(0);
  scheduler.drop([id(1), id(2), id(4), id(99)]);
  assert.deepEqual(jobIds(scheduler.run(0)), [[id(3)]]);
  assert.equal(scheduler.size, 1);
  assert.equal(scheduler.inflight, 1);
});

Deno.test("a million envelopes of a hundred thousand domains take at most 200 bytes each", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const count = 1_000_000;
  for (let i = 1; i <= count; i++) {
    const lane = `${i % 100_000}.example`;
    scheduler.add(ticket(id(i), { agent: "mta", action: "out", lane, tries: 2 }), 0);
  }
  assert.equal(scheduler.size, count);
  assert.ok(scheduler.bytes / count < 120, `${scheduler.bytes / count} bytes in columns`);
});

Deno.test("run() holds a key that had all the jobs it may have until few are left, then lets some go, and all when none is left", () => {
  const marks = { mda: { lowat: 2, release: 1 }, mta: { lowat: 0, release: 0 }, domains: {} };
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 4, marks }, RUNNING);
  for (let i = 1; i <= 12; i++) scheduler.add(ticket(id(i)), 0);
  const next = () => jobIds(scheduler.run(0)).flat();
  assert.deepEqual(next(), [id(1), id(2), id(3), id(4)]);
  scheduler.drop([id(1)]);
  assert.deepEqual(next(), [], "three are left");
  assert.equal(scheduler.states([id(5)])[0]!.state, "held");
  scheduler.drop([id(2)]);
  assert.deepEqual(next(), [id(5)], "two are left: one more");
  scheduler.drop([id(3)]);
  assert.deepEqual(next(), [id(6)]);
  scheduler.drop([id(4)]);
  scheduler.drop([id(5)]);
  scheduler.drop([id(6)]);
  assert.deepEqual(next(), [id(7), id(8), id(9), id(10)], "none is left: as at first");
});

Deno.test("run() lets all go at the low mark when the release is 0, and the low mark is below the high one", () => {
  const marks = { mda: { lowat: 9, release: 0 }, mta: { lowat: 0, release: 0 }, domains: {} };
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 2, marks }, RUNNING);
  for (let i = 1; i <= 4; i++) scheduler.add(ticket(id(i)), 0);
  assert.equal(scheduler.run(0).jobs.length, 2);
  scheduler.drop([id(1)]);
  assert.deepEqual(jobIds(scheduler.run(0)), [[id(3)]]);
});

Deno.test("run() holds by the marks of the domain where it has some", () => {
  const common = { lowat: 0, release: 0 };
  const marks = { mda: common, mta: common, domains: { "slow.example": { hiwat: 1, ...common } } };
  const scheduler = new Scheduler({ ...LIMITS, maxPerDestination: 3, marks }, RUNNING);
  for (let i = 1; i <= 4; i++) {
    scheduler.add(ticket(id(i), { agent: "mta", lane: "slow.example" }), 0);
    scheduler.add(ticket(id(i, 2), { agent: "mta", lane: "constructor" }), 0);
  }
  const keys = scheduler.run(0).jobs.map(({ job }) => job.lane).sort();
  assert.deepEqual(keys, ["constructor", "constructor", "constructor", "slow.example"]);
});

Deno.test("run() counts no longer held what an administrator removed", () => {
  const marks = { mda: { lowat: 1, release: 1 }, mta: { lowat: 0, release: 0 }, domains: {} };
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 2, marks }, RUNNING);
  for (let i = 1; i <= 3; i++) scheduler.add(ticket(id(i)), 0);
  scheduler.run(0);
  scheduler.drop([id(3)]);
  scheduler.drop([id(1)]);
  scheduler.drop([id(2)]);
  scheduler.add(ticket(id(4)), 0);
  scheduler.add(ticket(id(5)), 0);
  assert.equal(scheduler.run(0).jobs.length, 2);
});

Deno.test("reschedule() makes due what relay names and waits for its time, and nothing else", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  const mta = { agent: "mta", key: "a.example", tries: 5 } as const;
  scheduler.add(ticket(id(1), mta), 0);
  scheduler.add(ticket(id(2), { ...mta, suspended: true }), 0);
  scheduler.add(ticket(id(3), { tries: 5 }), 0);
  assert.deepEqual(scheduler.run(1000).jobs, []);
  assert.equal(scheduler.reschedule([id(1), id(2), id(3), id(4)], 1000), 1);
  assert.deepEqual(jobIds(scheduler.run(1000)), [[id(1)]]);
  assert.equal(scheduler.reschedule([id(1)], 1000), 0, "it is in flight");
});

Deno.test("a suspended envelope does not expire until it is resumed", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { suspended: true, expiresAt: 1000 }), 0);
  assert.deepEqual(scheduler.run(5000).expired, []);
  scheduler.resume([id(1)], 5000);
  assert.deepEqual(scheduler.run(5000).expired, [id(1)]);
});

const YEAR = 400 * DAY;
const MTA = { agent: "mta", key: "a.example" } as const;

Deno.test("add() keeps no envelope longer because the clock was 400 days ahead when it was queued", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { ...MTA, createdAt: YEAR, expiresAt: YEAR + 4 * DAY, tries: 2, restored: true }), 0);
  const [state] = scheduler.states([id(1)]);
  assert.equal(state!.at, 1_600_000, "it is as old as new, with its back-off");
  assert.equal(scheduler.run(1_600_000).jobs.length, 1);
  scheduler.retry(id(1), 1_600_000);
  assert.equal(scheduler.states([id(1)])[0]!.at, 3_600_000);
  scheduler.add(ticket(id(2), { createdAt: YEAR, expiresAt: YEAR + 1_000, restored: true }), 0);
  scheduler.run(0);
  scheduler.retry(id(2), 0);
  assert.deepEqual(scheduler.run(1_000).expired, [id(2)], "its time is its ttl");
});

Deno.test("add() and retry() let no number of tries make an envelope wait longer than its back-off ever does", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { ...MTA, tries: 65_000 }), 0);
  const wait = scheduler.states([id(1)])[0]!.at;
  assert.ok(wait > 6 * 3_600_000 && wait < 7 * 3_600_000, `${wait} ms`);
  assert.equal(scheduler.run(wait).jobs.length, 1);
  scheduler.retry(id(1), wait);
  assert.equal(scheduler.states([id(1)])[0]!.at, 2 * wait);
});

for (const agent of ["mta", "mda", "bounce"] as const) {
  Deno.test(`an envelope of ${agent} whose time passed while the daemon was off is tried once before it expires`, () => {
    const scheduler = new Scheduler(LIMITS, RUNNING);
    const now = 10 * DAY;
    scheduler.add(ticket(id(1), { agent, lane: "", tries: 3, restored: true }), now);
    const { jobs, dsns, expired } = scheduler.run(now + 2_000);
    assert.deepEqual([...jobs.map(({ job }) => job.ids), ...dsns.map(({ ids }) => ids)], [[id(1)]]);
    assert.deepEqual(expired, []);
    scheduler.retry(id(1), now + 3_000);
    assert.deepEqual(scheduler.run(now + 3_000).expired, [id(1)]);
  });
}

Deno.test("an attempt is owed while the line is full, paused, or its isolate dies; what is new expires all the same", () => {
  const scheduler = new Scheduler({ ...LIMITS, maxPerUser: 1 }, { mda: true, mta: false });
  const now = 10 * DAY;
  scheduler.add(ticket(id(1), { restored: true }), now);
  scheduler.add(ticket(id(2), { restored: true }), now);
  scheduler.add(ticket(id(3), { expiresAt: now + 1_000 }), now);
  assert.deepEqual(scheduler.run(now).jobs, []);
  assert.equal(scheduler.nextAt(), now + 1_000);
  assert.deepEqual(scheduler.run(now + 1_000).expired, [id(3)]);
  scheduler.drop([id(3)]);
  scheduler.setPaused({ agent: "mda", paused: false });
  assert.deepEqual(jobIds(scheduler.run(now + 2_000)), [[id(1)]]);
  scheduler.lost("mda", now + 3_000);
  assert.deepEqual(scheduler.run(now + 3_000).expired, []);
  assert.equal(scheduler.schedule("all", { now: now + 3_000 }).count, 1, "the one that waits");
});

Deno.test("stepped() back: nothing waits for the time that the clock had shown", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { ...MTA, createdAt: YEAR, expiresAt: YEAR + 4 * DAY }), YEAR);
  scheduler.run(YEAR);
  scheduler.retry(id(1), YEAR + 1_000);
  scheduler.add(ticket(id(2), { createdAt: YEAR, expiresAt: YEAR + 60_000, agent: "bounce", lane: "" }), YEAR + 1_000);
  scheduler.stepped(-YEAR);
  assert.equal(scheduler.states([id(1)])[0]!.at, 400_000);
  assert.equal(scheduler.run(2_000).dsns.length, 1);
  assert.equal(scheduler.run(400_000).jobs.length, 1);
  scheduler.retry(id(1), 400_000);
  assert.deepEqual(scheduler.run(4 * DAY).expired, [id(1)]);
});

Deno.test("stepped() ahead: what waits is tried, and nothing expires for it", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  scheduler.add(ticket(id(1), { ...MTA, tries: 1 }), 0);
  scheduler.add(ticket(id(2), { ...MTA, tries: 1, suspended: true }), 0);
  scheduler.stepped(YEAR);
  const { jobs, expired } = scheduler.run(YEAR);
  assert.deepEqual([jobs.length, expired], [1, []]);
  scheduler.retry(id(1), YEAR);
  assert.equal(scheduler.states([id(1)])[0]!.at, YEAR + 1_600_000);
  assert.deepEqual(scheduler.run(YEAR + 4 * DAY).expired, [id(1)]);
});

Deno.test("ages() counts what is known by age, whatever its state, and says how old the oldest is", () => {
  const scheduler = new Scheduler(LIMITS, RUNNING);
  assert.deepEqual(scheduler.ages([60, 3600], 0), { counts: [0, 0, 0], sum: 0, oldest: 0 });
  scheduler.add(ticket(id(1), { createdAt: 0 }), 0);
  scheduler.add(ticket(id(2), { createdAt: 3_000_000, suspended: true }), 3_000_000);
  scheduler.add(ticket(id(3), { createdAt: 7_190_000, agent: "mta", lane: "a.example" }), 7_190_000);
  assert.deepEqual(scheduler.ages([60, 3600], 7_200_000), { counts: [1, 0, 2], sum: 10 + 4200 + 7200, oldest: 7200 });
  scheduler.drop([id(1)]);
  assert.deepEqual(scheduler.ages([60, 3600], 7_200_000).counts, [1, 0, 1]);
});
