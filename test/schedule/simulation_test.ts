/** A simulated world around the scheduler: it checks every step against a plain model of what may happen when. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Limits, nextDue, Scheduler } from "../../src/schedule/mod.ts";
import type { Agent } from "../../src/envelope/mod.ts";

interface Known {
  readonly id: string;
  readonly agent: Agent;
  readonly key: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  tries: number;
  due: number;
  state: "waiting" | "inflight" | "delivered" | "expired";
  job: number;
}

interface Plan {
  readonly limits: Limits;
  /** Envelopes by arrival: which domain, how long after the one before. */
  readonly arrivals: readonly { readonly domain: number; readonly local: boolean; readonly gap: number }[];
  readonly ttl: number;
  /** How long an attempt takes, and whether it works out, by a number that is drawn for each. */
  readonly attempt: (draw: number, domain: string) => { readonly ms: number; readonly ok: boolean };
}

class World {
  readonly scheduler: Scheduler;
  readonly known = new Map<string, Known>();
  readonly #plan: Plan;
  readonly #running: { at: number; id: string; ok: boolean }[] = [];
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

  /** Runs until every envelope has ended. `check`: compare all waiting envelopes at each step, slow. */
  run(check: boolean): void {
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
      this.#send();
      if (check) this.#checkWaiting();
    }
  }

  #arrive(index: number): void {
    const { domain, local } = this.#plan.arrivals[index]!;
    const agent = local ? "mda" : "mta";
    const id = (Math.floor(index / 3) + 1).toString(16).padStart(8, "0") + (index + 1).toString(16).padStart(8, "0");
    const key = `${domain}.example`;
    const expiresAt = this.now + this.#plan.ttl;
    const ticket = { id, agent, action: "a", key, createdAt: this.now, expiresAt, tries: 0, suspended: false } as const;
    this.known.set(id, { ...ticket, due: this.now, state: "waiting", job: -1 });
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
      if (!sameJob) this.#busy.get(`${envelope.agent} ${envelope.key}`)!.delete(envelope.job);
      envelope.state = ok ? "delivered" : "waiting";
      envelope.tries++;
      envelope.due = nextDue(envelope.agent, envelope.createdAt, envelope.tries, this.now);
      this.scheduler.settle(id, !ok, this.now);
    }
  }

  #send(): void {
    const { jobs, expired } = this.scheduler.run(this.now);
    for (const { agent, job } of jobs) {
      const number = this.#jobs++;
      const lane = `${agent} ${job.key}`;
      if (!this.#busy.has(lane)) this.#busy.set(lane, new Set());
      this.#busy.get(lane)!.add(number);
      assert.ok(this.#busy.get(lane)!.size <= this.#perKey(agent), "limits of a key are kept");
      for (const id of job.ids) {
        const envelope = this.known.get(id)!;
        assert.equal(envelope.state, "waiting", "none is in flight twice, none comes back from the dead");
        assert.ok(envelope.due <= this.now, "none goes before its time");
        assert.ok(envelope.expiresAt > this.now, "none goes after its time");
        assert.equal(id.slice(0, 8), job.message);
        envelope.state = "inflight";
        envelope.job = number;
        this.#inflight++;
        this.#draw = (Math.imul(this.#draw, 1664525) + 1013904223) >>> 0;
        const { ms, ok } = this.#plan.attempt(this.#draw, job.key);
        this.#running.push({ at: this.now + ms, id, ok });
      }
      assert.ok(this.#inflight <= this.#plan.limits.maxInflight, "max-inflight is kept");
    }
    for (const id of expired) {
      const envelope = this.known.get(id)!;
      assert.equal(envelope.state, "waiting");
      assert.ok(envelope.expiresAt <= this.now, "none expires early");
      envelope.state = "expired";
    }
    this.scheduler.drop(expired);
  }

  /** None waits past its time while there is room. */
  #checkWaiting(): void {
    const { maxInflight } = this.#plan.limits;
    for (const envelope of this.known.values()) {
      if (envelope.state !== "waiting") continue;
      assert.ok(envelope.expiresAt > this.now, "none outlives its time");
      if (envelope.due > this.now) continue;
      const lane = `${envelope.agent} ${envelope.key}`;
      const held = (this.#busy.get(lane)?.size ?? 0) > this.#low(envelope.agent);
      const sent = [...this.known.values()].filter((each) =>
        each.state === "inflight" && `${each.agent} ${each.key}` === lane
      ).length;
      const room = this.#inflight < Math.floor(maxInflight * (envelope.agent === "mta" ? 0.8 : 1));
      assert.ok(held || !room || sent >= Math.floor(maxInflight / 4), `${envelope.id} waits while there is room`);
    }
  }

  /** With no more jobs than this, a key gets another one. */
  #low(agent: Agent): number {
    const { marks } = this.#plan.limits;
    const most = this.#perKey(agent) - 1;
    return marks === undefined || agent === "bounce" ? most : Math.min(most, marks[agent].lowat);
  }

  #perKey(agent: Agent): number {
    return agent === "mda" ? this.#plan.limits.maxPerUser : this.#plan.limits.maxPerDestination;
  }
}

const arrival = fc.record({
  domain: fc.integer({ min: 0, max: 6 }),
  local: fc.boolean(),
  gap: fc.integer({ min: 0, max: 5000 }),
});

Deno.test("none is lost, none is in flight twice, none waits past its time while there is room", () => {
  fc.assert(
    fc.property(
      fc.array(arrival, { minLength: 20, maxLength: 80 }),
      fc.integer({ min: 4, max: 20 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 100 }),
      fc.record({ lowat: fc.integer({ min: 0, max: 4 }), release: fc.integer({ min: 0, max: 2 }) }),
      (arrivals, maxInflight, perKey, failures, marks) => {
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
        });
        world.run(true);
        for (const { state } of world.known.values()) assert.ok(state === "delivered" || state === "expired");
        assert.equal(world.known.size, arrivals.length);
        assert.equal(world.scheduler.size, 0);
        assert.equal(world.scheduler.inflight, 0);
      },
    ),
    { numRuns: 100, seed: 20261122 },
  );
});

Deno.test("a month of retries to a thousand domains, a third of them dead, ends with every envelope delivered or expired", () => {
  const month = 30 * 86_400_000;
  const world = new World({
    limits: { maxInflight: 500, maxPerUser: 7, maxPerDestination: 10, maxSchedule: 10 },
    arrivals: Array.from({ length: 3000 }, (_, i) => ({ domain: (i * 7919) % 1000, local: false, gap: month / 3000 })),
    ttl: 4 * 86_400_000,
    attempt: (draw, domain) => ({ ms: 100 + draw % 5000, ok: parseInt(domain) % 3 !== 0 && draw % 10 !== 0 }),
  });
  world.run(false);
  const dead = [...world.known.values()].filter(({ key }) => parseInt(key) % 3 === 0);
  assert.ok(dead.every(({ state }) => state === "expired"));
  // 4 days of n² · 400 s: attempts at n = 0 … 29.
  assert.ok(dead.every(({ tries }) => tries === 30), `${Math.min(...dead.map(({ tries }) => tries))}`);
  assert.ok([...world.known.values()].every(({ key, state }) => parseInt(key) % 3 === 0 || state === "delivered"));
  assert.ok(world.now >= month);
});
