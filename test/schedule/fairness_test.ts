/** Half a million messages of one sender, and a fresh message of another: when does that leave? Time is virtual. */

import assert from "node:assert/strict";
import type { Agent, EnvelopeId } from "../../src/envelope/mod.ts";
import { type Limits } from "../../src/schedule/mod.ts";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { evpid } from "../ids.ts";

const COUNT = 500_000;
const LIMITS: Limits = { maxInflight: 5000, maxPerUser: 7, maxPerDestination: 50, maxSchedule: null };
const EXPIRES = 345_600_000;

const hex = (value: number) => value.toString(16).padStart(8, "0");

interface Backlog {
  readonly name: string;
  readonly agent: "mta" | "mda";
  /** Destinations, or users, that share it. */
  readonly keys: number;
  /** How long each attempt takes. */
  readonly attemptMs: number;
}

/** A scheduler whose jobs come back, delivered, after their time. */
class World {
  readonly scheduler = new Scheduler(LIMITS, { mda: false, mta: false });
  /** When each message was sent. */
  readonly sent = new Map<string, number>();
  #running: { at: number; id: EnvelopeId }[] = [];
  now = 0;
  #count = 0;

  add(agent: Agent, lane: string): EnvelopeId {
    const id = evpid(hex(++this.#count) + hex(1));
    this.scheduler.add({
      id,
      agent,
      action: agent === "mda" ? "in" : "out",
      lane,
      createdAt: this.now,
      expiresAt: this.now + EXPIRES,
      tries: 0,
      suspended: false,
    }, this.now);
    return id;
  }

  /** Sends what may go now. */
  send(attemptMs: number): void {
    do {
      for (const { job } of this.scheduler.run(this.now).jobs) {
        for (const id of job.ids) {
          this.sent.set(id, this.now);
          this.#running.push({ at: this.now + attemptMs, id });
        }
      }
    } while (this.scheduler.nextAt() <= this.now);
  }

  /** Lets time pass until `end`. All attempts take equally long: they end in the order in which they began. */
  run(end: number, attemptMs: number): void {
    for (let first = 0;;) {
      const { at = Infinity } = this.#running[first] ?? {};
      if (at > end) {
        this.#running = this.#running.slice(first);
        this.now = end;
        return this.send(attemptMs);
      }
      this.now = at;
      for (; this.#running[first]?.at === at; first++) this.scheduler.drop([this.#running[first]!.id]);
      this.send(attemptMs);
    }
  }
}

const backlogs: readonly Backlog[] = [
  { name: "one dead destination", agent: "mta", keys: 1, attemptMs: 300_000 },
  { name: "a thousand dead destinations", agent: "mta", keys: 1000, attemptMs: 300_000 },
  { name: "a thousand slow destinations", agent: "mta", keys: 1000, attemptMs: 5000 },
  { name: "one user whose command hangs", agent: "mda", keys: 1, attemptMs: 300_000 },
  { name: "two thousand slow users", agent: "mda", keys: 2000, attemptMs: 5000 },
];
for (const { name, agent, keys, attemptMs } of backlogs) {
  Deno.test(`fresh mail leaves at once while half a million messages wait for ${name}`, () => {
    const world = new World();
    for (let index = 0; index < COUNT; index++) world.add(agent, `key${index % keys}`);
    world.send(attemptMs);
    // Not only at the start: whenever it comes.
    for (let minute = 1; minute <= 3; minute++) {
      world.run(minute * 60_000 + 1, attemptMs);
      for (const fresh of [world.add("mta", `healthy${minute}`), world.add("mda", `healthy${minute}`)]) {
        world.send(attemptMs);
        assert.equal(world.sent.get(fresh), world.now, "it leaves in the same moment");
      }
    }
    assert.ok(world.scheduler.size > COUNT / 3, "the backlog is still there");
  });
}
