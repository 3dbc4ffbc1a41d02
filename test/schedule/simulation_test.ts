/** A simulated world around the scheduler: it checks every step against a plain model of what may happen when. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { firstDue, type Limits, nextDue } from "../../src/schedule/mod.ts";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import type { Agent, EnvelopeId } from "../../src/envelope/mod.ts";
import { evpid } from "../ids.ts";

interface Known {
  readonly id: EnvelopeId;
  readonly agent: Agent;
  readonly lane: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  tries: number;
  due: number;
  state: "waiting" | "inflight" | "delivered" | "expired" | "removed";
  suspended: boolean;
  job: number;
}

/** What else happens in a system: an isolate dies, the administrator meddles. `nth` chooses the envelopes: every nth. */
const INCIDENTS = ["relay dies", "delivery dies", "queue dies", "schedule", "suspend", "resume", "remove"] as const;
interface Incident {
  readonly step: number;
  readonly kind: typeof INCIDENTS[number];
  readonly nth: number;
}

interface Plan {
  readonly limits: Limits;
  /** Envelopes by arrival: which domain, how long after the one before. */
  readonly arrivals: readonly { readonly domain: number; readonly local: boolean; readonly gap: number }[];
  readonly ttl: number;
  /** How long an attempt takes, and whether it works out, by a number that is drawn for each. */
  readonly attempt: (draw: number, domain: string) => { readonly ms: number; readonly ok: boolean };
  readonly incidents?: readonly Incident[];
}

class World {
  readonly scheduler: Scheduler;
  readonly known = new Map<string, Known>();
  /** Those that have not ended. */
  readonly #alive = new Set<Known>();
  readonly #plan: Plan;
  #running: { at: number; id: EnvelopeId; ok: boolean }[] = [];
  readonly #busy = new Map<string, Set<number>>();
  #inflight = 0;
  #jobs = 0;
  #draw = 1;
  now = 0;
  steps = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.scheduler = new Scheduler(plan.limits, { mda: false, mta: false });
  }

  /** Runs until every envelope has ended. `every`: after so many steps all waiting envelopes are looked at. */
  run(every: number): void {
    let arrival = 0, nextArrival = this.#plan.arrivals[0]?.gap ?? Infinity;
    for (;;) {
      const attempt = this.#running.reduce((first, each) => each.at < first ? each.at : first, Infinity);
      const at = Math.min(attempt, nextArrival, this.scheduler.nextAt());
      if (at === Infinity) return;
      assert.ok(at >= this.now || at === this.scheduler.nextAt(), "time runs forward");
      this.now = Math.max(this.now, at);
      this.steps++;
      while (nextArrival <= this.now) {
        this.#arrive(arrival);
        nextArrival = this.now + (this.#plan.arrivals[++arrival]?.gap ?? Infinity);
      }
      this.#endAttempts();
      for (const incident of this.#plan.incidents ?? []) if (incident.step === this.steps) this.#happen(incident);
      this.#send();
      assert.equal(this.scheduler.size, this.#alive.size, "none is lost");
      assert.equal(this.scheduler.inflight, this.#inflight);
      if (this.steps % every === 0) this.#checkWaiting();
    }
  }

  #happen({ kind, nth }: Incident): void {
    const chosen = [...this.#alive].filter((_, index) => index % nth === 0);
    switch (kind) {
      case "relay dies":
        return this.#lose("mta");
      case "delivery dies":
        return this.#lose("mda");
      case "queue dies":
        return this.#reload();
      case "schedule":
        for (const envelope of this.#alive) {
          if (envelope.state === "waiting" && !envelope.suspended) envelope.due = Math.min(envelope.due, this.now);
        }
        return void this.scheduler.schedule("all", { now: this.now });
      case "suspend":
      case "resume":
        for (const envelope of chosen) envelope.suspended = kind === "suspend";
        return void this.scheduler[kind](chosen.map(({ id }) => id), this.now);
      case "remove":
        for (const envelope of chosen) {
          if (envelope.state === "inflight") this.#stop(envelope);
          this.#end(envelope, "removed");
        }
        this.#running = this.#running.filter(({ id }) => this.known.get(id)!.state === "inflight");
        return this.scheduler.drop(chosen.map(({ id }) => id));
    }
  }

  /** What the agent had in hand is due again. */
  #lose(agent: "mda" | "mta"): void {
    for (const envelope of this.#alive) {
      if (envelope.state !== "inflight" || envelope.agent !== agent) continue;
      this.#stop(envelope);
      Object.assign(envelope, { state: "waiting", due: this.now });
    }
    this.#running = this.#running.filter(({ id }) => this.known.get(id)!.state === "inflight");
    this.scheduler.lost(agent, this.now);
  }

  /** A new queue sends everything again; what was under way is forgotten. */
  #reload(): void {
    this.scheduler.reset();
    this.#running = [];
    this.#busy.clear();
    this.#inflight = 0;
    for (const envelope of this.#alive) {
      const { agent, createdAt, tries } = envelope;
      Object.assign(envelope, { state: "waiting", due: firstDue(agent, { createdAt, tries }) });
      assert.ok(this.scheduler.add({ ...envelope, action: "a" }, this.now));
      assert.ok(!this.scheduler.add({ ...envelope, action: "a" }, this.now), "none is there twice");
    }
  }

  /** It comes out of its job. */
  #stop(envelope: Known): void {
    this.#inflight--;
    const { agent, lane, job } = envelope;
    envelope.job = -1;
    if (![...this.#alive].some((each) => each.job === job)) this.#busy.get(`${agent} ${lane}`)!.delete(job);
  }

  #end(envelope: Known, state: Known["state"]): void {
    envelope.state = state;
    this.#alive.delete(envelope);
  }

  #arrive(index: number): void {
    const { domain, local } = this.#plan.arrivals[index]!;
    const agent = local ? "mda" : "mta";
    const id = evpid(
      (Math.floor(index / 3) + 1).toString(16).padStart(8, "0") + (index + 1).toString(16).padStart(8, "0"),
    );
    const lane = `${domain}.example`;
    const expiresAt = this.now + this.#plan.ttl;
    const ticket = {
      id,
      agent,
      action: "a",
      lane,
      createdAt: this.now,
      expiresAt,
      tries: 0,
      suspended: false,
    } as const;
    const envelope: Known = { ...ticket, due: this.now, state: "waiting", job: -1 };
    this.known.set(id, envelope);
    this.#alive.add(envelope);
    this.scheduler.add(ticket, this.now);
  }

  #endAttempts(): void {
    for (let i = this.#running.length - 1; i >= 0; i--) {
      const { at, id, ok } = this.#running[i]!;
      if (at > this.now) continue;
      this.#running.splice(i, 1);
      const envelope = this.known.get(id)!;
      assert.equal(envelope.state, "inflight");
      this.#inflight--;
      const sameJob = this.#running.some((each) => this.known.get(each.id)!.job === envelope.job);
      if (!sameJob) this.#busy.get(`${envelope.agent} ${envelope.lane}`)!.delete(envelope.job);
      envelope.state = "waiting";
      envelope.job = -1;
      if (ok) this.#end(envelope, "delivered");
      envelope.tries++;
      envelope.due = nextDue(envelope.agent, { ...envelope, now: this.now });
      if (ok) this.scheduler.drop([id]);
      else this.scheduler.retry(id, this.now);
    }
  }

  #send(): void {
    const { jobs, expired } = this.scheduler.run(this.now);
    for (const { agent, job } of jobs) {
      const number = this.#jobs++;
      const place = `${agent} ${job.lane}`;
      if (!this.#busy.has(place)) this.#busy.set(place, new Set());
      this.#busy.get(place)!.add(number);
      assert.ok(this.#busy.get(place)!.size <= this.#perLane(agent), "limits of a lane are kept");
      for (const id of job.ids) {
        const envelope = this.known.get(id)!;
        assert.equal(envelope.state, "waiting", "none is in flight twice, none comes back from the dead");
        assert.ok(!envelope.suspended, "none goes that is suspended");
        assert.ok(envelope.due <= this.now, "none goes before its time");
        assert.ok(envelope.expiresAt > this.now, "none goes after its time");
        assert.equal(id.slice(0, 8), job.message);
        envelope.state = "inflight";
        envelope.job = number;
        this.#inflight++;
        this.#draw = (Math.imul(this.#draw, 1664525) + 1013904223) >>> 0;
        const { ms, ok } = this.#plan.attempt(this.#draw, job.lane);
        this.#running.push({ at: this.now + ms, id, ok });
      }
      assert.ok(this.#inflight <= this.#plan.limits.maxInflight, "max-inflight is kept");
    }
    for (const id of expired) {
      const envelope = this.known.get(id)!;
      assert.equal(envelope.state, "waiting");
      assert.ok(!envelope.suspended, "none expires that is suspended");
      assert.ok(envelope.expiresAt <= this.now, "none expires early");
      this.#end(envelope, "expired");
    }
    this.scheduler.drop(expired);
  }

  /** None waits past its time while there is room: some of it is for users and domains of which nothing runs. */
  #checkWaiting(): void {
    const { maxInflight } = this.#plan.limits;
    const sent = new Map<string, number>();
    for (const { state, agent, lane } of this.#alive) {
      if (state === "inflight") sent.set(`${agent} ${lane}`, (sent.get(`${agent} ${lane}`) ?? 0) + 1);
    }
    for (const envelope of this.#alive) {
      if (envelope.state !== "waiting" || envelope.suspended) continue;
      assert.ok(envelope.expiresAt > this.now, "none outlives its time");
      if (envelope.due > this.now) continue;
      const place = `${envelope.agent} ${envelope.lane}`, { agent } = envelope;
      const running = this.#busy.get(place)?.size ?? 0;
      const share = running > 0 ? 0.7 : agent === "mta" ? 0.8 : 1;
      const room = this.#inflight < Math.max(1, Math.floor(maxInflight * share));
      const held = running > this.#low(agent) || (sent.get(place) ?? 0) >= Math.max(1, Math.floor(maxInflight / 4));
      assert.ok(held || !room, `${envelope.id} waits while there is room`);
    }
  }

  /** With no more jobs than this, a lane gets another one. */
  #low(agent: Agent): number {
    const { marks } = this.#plan.limits;
    const most = this.#perLane(agent) - 1;
    return marks === undefined || agent === "bounce" ? most : Math.min(most, marks[agent].lowat);
  }

  #perLane(agent: Agent): number {
    return agent === "mda" ? this.#plan.limits.maxPerUser : this.#plan.limits.maxPerDestination;
  }
}

const arrival = fc.record({
  domain: fc.integer({ min: 0, max: 6 }),
  local: fc.boolean(),
  gap: fc.integer({ min: 0, max: 5000 }),
});

const incident = fc.record({
  step: fc.integer({ min: 1, max: 400 }),
  kind: fc.constantFrom(...INCIDENTS),
  nth: fc.integer({ min: 1, max: 7 }),
});

Deno.test("none is lost, none is in flight twice, none waits past its time while there is room", () => {
  fc.assert(
    fc.property(
      fc.array(arrival, { minLength: 20, maxLength: 80 }),
      fc.integer({ min: 4, max: 20 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 100 }),
      fc.record({ lowat: fc.integer({ min: 0, max: 4 }), release: fc.integer({ min: 0, max: 2 }) }),
      fc.array(incident, { maxLength: 12 }),
      (arrivals, maxInflight, perKey, failures, marks, incidents) => {
        const world = new World({
          limits: {
            maxInflight,
            maxPerUser: perKey,
            maxPerDestination: perKey,
            maxSchedule: null,
            marks: { mda: marks, mta: marks, domains: {} },
          },
          arrivals,
          ttl: 8_000_000,
          attempt: (draw) => ({ ms: draw % 600_000, ok: (draw >>> 8) % 100 >= failures }),
          // What is suspended for ever never ends.
          incidents: [...incidents, { step: 401, kind: "resume", nth: 1 }],
        });
        world.run(1);
        assert.equal(world.known.size, arrivals.length);
        for (const { state, suspended } of world.known.values()) {
          assert.ok(suspended || ["delivered", "expired", "removed"].includes(state));
        }
        assert.equal(world.scheduler.inflight, 0);
      },
    ),
    { numRuns: 200, seed: 20261122 },
  );
});

Deno.test("a month of retries to a thousand failing domains ends with every envelope expired after all its attempts", () => {
  const month = 30 * 86_400_000, count = 10_000;
  const began = performance.now();
  const world = new World({
    limits: { maxInflight: 500, maxPerUser: 7, maxPerDestination: 10, maxSchedule: 10 },
    arrivals: Array.from(
      { length: count },
      (_, i) => ({ domain: (i * 7919) % 1000, local: false, gap: month / count }),
    ),
    ttl: 4 * 86_400_000,
    attempt: (draw) => ({ ms: 100 + draw % 5000, ok: false }),
  });
  world.run(5000);
  assert.equal(world.known.size, count);
  assert.equal(world.scheduler.size, 0);
  // 4 days of n² · 400 s: attempts at n = 0 … 29.
  assert.ok([...world.known.values()].every(({ state, tries }) => state === "expired" && tries === 30));
  assert.ok(world.now >= month);
  console.log(`${count * 30} attempts in ${Math.round(performance.now() - began)} ms`);
});

Deno.test("a month of retries to a thousand domains, a third of them dead, ends with every envelope delivered or expired", () => {
  const month = 30 * 86_400_000;
  const world = new World({
    limits: { maxInflight: 500, maxPerUser: 7, maxPerDestination: 10, maxSchedule: 10 },
    arrivals: Array.from({ length: 3000 }, (_, i) => ({ domain: (i * 7919) % 1000, local: false, gap: month / 3000 })),
    ttl: 4 * 86_400_000,
    attempt: (draw, domain) => ({ ms: 100 + draw % 5000, ok: parseInt(domain) % 3 !== 0 && draw % 10 !== 0 }),
  });
  world.run(100);
  const dead = [...world.known.values()].filter(({ lane }) => parseInt(lane) % 3 === 0);
  assert.ok(dead.every(({ state }) => state === "expired"));
  // 4 days of n² · 400 s: attempts at n = 0 … 29.
  assert.ok(dead.every(({ tries }) => tries === 30), `${Math.min(...dead.map(({ tries }) => tries))}`);
  assert.ok([...world.known.values()].every(({ lane, state }) => parseInt(lane) % 3 === 0 || state === "delivered"));
  assert.ok(world.now >= month);
});
