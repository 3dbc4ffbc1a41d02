/**
 * What is due, what may run together, and when to look again. Deterministic: state, events and the time go in, effects come out; no clock, no
 * timer, no door. See mod.ts for those. It is long because all that changes the table of envelopes is here.
 */

import {
  type Agent,
  type EnvelopeId,
  type MessageId,
  messageIdOf,
  type MessageNumber,
  rowOf,
} from "../envelope/mod.ts";
import type { Job, LaneRecord, LaneState, RetryClass, RunState, Target, Ticket, WaitState } from "../protocol/mod.ts";
import { MAX_JOB_ENVELOPES } from "../protocol/queue_work.ts";
import { firstDue, longestWait, nextDue } from "./backoff.ts";
import { WakeHeap } from "./heap.ts";
import { type LaneLimits, Lanes } from "./lanes.ts";
import { BUSY_SHARE, IDLE_SHARE, type Limits, marksOf } from "./limits.ts";
import { eachSlot, find } from "./scan.ts";
import { type Ages, countAges, summariseLanes } from "./summary.ts";
import { AT, EnvelopeTable, type Lane, NONE, type Slot } from "./table.ts";

/** The order in which agents are asked when there is room for a few only. */
const AGENTS: readonly Agent[] = ["bounce", "mda", "mta"];
/** A DSN waits this long after the first envelope of its message that asks for one, so that others can join it. */
const DSN_MERGE_MS = 1000;
/** Due envelopes that one call of `run` moves; the rest waits for the next call, so that nothing else has to wait. */
const MAX_MOVES = 10_000;

/** What is to be sent, in order. */
export interface Effects {
  readonly jobs: { readonly agent: "mda" | "mta"; readonly job: Omit<Job, "mac"> }[];
  readonly dsns: { readonly message: MessageId; readonly ids: EnvelopeId[] }[];
  readonly expired: EnvelopeId[];
}

/** A job that is being put together: recipients of other domains that go to the same host are added to it. */
type GrowingJob = Omit<Job, "mac" | "ids"> & { readonly ids: EnvelopeId[] };

export class Scheduler {
  #limits: Limits;
  #smarthostActions!: ReadonlySet<string>;
  readonly #paused: Record<Agent, boolean>;
  #table!: EnvelopeTable;
  #heap!: WakeHeap;
  #lanes!: Lanes;
  #inflight = 0;
  /** Envelopes still out, by job; -1 marks a free number. */
  #jobs: number[] = [];
  #freeJobs: number[] = [];
  /** Became due since the last dispatch: what does not go at once must be watched for its expiry. */
  #fresh: Slot[] = [];
  /** The last pass ended before everything that may go was sent. */
  #interrupted = false;
  /** When the DSN of a message will be written. */
  #dsnDue = new Map<MessageNumber, number>();

  constructor(limits: Limits, paused: { readonly mda: boolean; readonly mta: boolean }) {
    this.#limits = limits;
    this.#smarthostActions = new Set(limits.smarthostActions);
    this.#paused = { mda: paused.mda, mta: paused.mta, bounce: false };
    this.reset();
  }

  /** Forgets all envelopes: a new queue loads them afresh. */
  reset(): void {
    this.#table = new EnvelopeTable();
    this.#heap = new WakeHeap(this.#table);
    this.#lanes = new Lanes(this.#table, this.#laneLimits());
    this.#inflight = 0;
    this.#jobs = [];
    this.#freeJobs = [];
    this.#fresh = [];
    this.#interrupted = false;
    this.#dsnDue.clear();
  }

  /** Other limits hold from now on. What is in flight stays so. */
  configure(limits: Limits): void {
    this.#limits = limits;
    this.#smarthostActions = new Set(limits.smarthostActions);
    this.#lanes.configure(this.#laneLimits());
  }

  #laneLimits(): LaneLimits {
    return {
      marks: (agent, name) => marksOf(this.#limits, agent, name),
      // One slow destination must not take all of the room, however many recipients its messages have.
      maxInflight: Math.max(1, Math.floor(this.#limits.maxInflight / 4)),
    };
  }

  /** Envelopes known and envelopes in flight. */
  get size(): number {
    return this.#table.size;
  }
  get inflight(): number {
    return this.#inflight;
  }

  /** Bytes of the columns (lanes and their names come on top). */
  get bytes(): number {
    return this.#table.bytes + this.#heap.bytes;
  }

  /** A queued envelope; of known ones only the time to live may be another one. True when it was new. */
  add(ticket: Ticket, now: number): boolean {
    const table = this.#table, known = find(table, ticket.id);
    if (known !== NONE) {
      this.#keep(known, { ttl: ticket.expiresAt - ticket.createdAt, now });
      return false;
    }
    const slot = table.insert(rowOf(ticket.id));
    const lane = this.#lanes.of(ticket.agent, ticket.action, ticket.lane);
    this.#lanes.enter(lane);
    table.lane[slot] = lane;
    // A clock that was ahead when it was queued makes it no younger than new.
    const createdAt = Math.min(ticket.createdAt, now);
    const ttl = ticket.expiresAt - ticket.createdAt;
    table.createdAt[slot] = createdAt;
    table.expiresAt[slot] = createdAt + ttl;
    table.owed[slot] = ticket.restored === true ? 1 : 0;
    table.tries[slot] = Math.min(ticket.tries, 0xffff);
    table.suspended[slot] = ticket.suspended ? 1 : 0;
    const { tries, failed } = ticket;
    const due = tries === 0 ? createdAt : firstDue(ticket.agent, {
      createdAt,
      tries,
      ...failed === undefined ? {} : { retryClass: failed.retryClass, lastTryAt: Math.min(failed.at, now) },
    });
    // What is owed an attempt gets it at the end of its time at the latest, whatever its class says.
    const latest = failed === undefined || ticket.restored !== true ? Infinity : Math.max(now, createdAt + ttl);
    this.#wait(slot, { due: Math.min(due, latest, now + longestWait(ticket.agent, ttl)), now });
    return true;
  }

  /** The configuration says anew how long a known envelope is kept. */
  #keep(slot: Slot, { ttl, now }: { readonly ttl: number; readonly now: number }): void {
    const table = this.#table, expiresAt = table.createdAt[slot]! + ttl;
    if (table.expiresAt[slot] === expiresAt) return;
    table.expiresAt[slot] = expiresAt;
    const at = table.at[slot];
    if (at !== AT.PENDING && at !== AT.READY) return;
    this.#detach(slot);
    this.#wait(slot, { due: table.due[slot]!, now });
  }

  /** An attempt is over and is to be made again, after the back-off: that of its class, where it has one. */
  retry(id: EnvelopeId, now: number, retryClass?: RetryClass): void {
    const slot = find(this.#table, id);
    if (slot === NONE) return;
    const table = this.#table;
    if (table.tries[slot]! < 0xffff) table.tries[slot]!++;
    table.owed[slot] = 0;
    this.#detach(slot);
    this.#wait(slot, { due: this.#nextDue(slot, now, retryClass), now });
  }

  /**
   * The clock was set by `step` ms, negative for back: envelopes stay as old as they are, none expires because of it, and none waits longer.
   * Those that are due by the new clock are tried.
   */
  stepped(step: number): void {
    this.#table.shift(step);
    // As the times at which envelopes are due: those that come earlier do no harm.
    if (step < 0) { for (const [message, at] of this.#dsnDue) this.#dsnDue.set(message, at + step); }
    this.#heap.rebuild();
  }

  /** Gone from the queue: delivered, refused for good, or removed. */
  drop(ids: readonly EnvelopeId[]): void {
    for (const id of ids) {
      const slot = find(this.#table, id);
      if (slot !== NONE) this.#forget(slot);
    }
  }

  /** The agent's isolate was replaced: what it had in hand is due again at once. */
  lost(agent: "mda" | "mta", now: number): void {
    const table = this.#table;
    for (let slot = 0 as Slot; slot < table.end; slot++) {
      if (table.at[slot] !== AT.INFLIGHT || this.#lanes.agent(table.laneOf(slot)) !== agent) continue;
      this.#detach(slot);
      this.#wait(slot, { due: now, now });
    }
  }

  /**
   * `smtpctl schedule`: due now, unless in flight or suspended. Does a slice, so that nothing else waits: begin with `from` 0 and go on with
   * `next` until that is null. `count` is how many were made due.
   */
  schedule(target: Target, { now, from = 0 }: { now: number; from?: number }): { count: number; next: number | null } {
    let count = 0;
    const next = eachSlot(this.#table, this.#lanes, target, from, (slot) => {
      const at = this.#table.at[slot];
      if (at !== AT.PENDING && at !== AT.READY) return;
      // Its time is over: the next run reports that.
      if (this.#table.deadline(slot) <= now) return;
      count++;
      if (at === AT.READY) return;
      this.#detach(slot);
      this.#ready(slot, now);
    });
    return { count, next };
  }

  /** A slice of the envelopes that are to be relayed to a domain, in any state; `from` and `next` as in `schedule`. */
  find(domain: string, from = 0): { ids: EnvelopeId[]; next: number | null } {
    const ids: EnvelopeId[] = [];
    const next = eachSlot(this.#table, this.#lanes, { domain }, from, (slot) => ids.push(this.#table.id(slot)));
    return { ids, next };
  }

  /** Relay has a reason to try these now: those that wait for their time are due. How many were. */
  reschedule(ids: readonly EnvelopeId[], now: number): number {
    let count = 0;
    for (const id of ids) {
      const slot = find(this.#table, id);
      if (slot === NONE || this.#table.at[slot] !== AT.PENDING) continue;
      if (this.#lanes.agent(this.#table.laneOf(slot)) !== "mta" || this.#table.deadline(slot) <= now) continue;
      this.#detach(slot);
      this.#ready(slot, now);
      count++;
    }
    return count;
  }

  /** `smtpctl pause envelope`. Returns how many changed. */
  suspend(ids: readonly EnvelopeId[], now: number): number {
    return this.#setSuspended(ids, { suspended: true, now });
  }

  /** `smtpctl resume envelope`. Returns how many changed. */
  resume(ids: readonly EnvelopeId[], now: number): number {
    return this.#setSuspended(ids, { suspended: false, now });
  }

  #setSuspended(
    ids: readonly EnvelopeId[],
    { suspended, now }: { readonly suspended: boolean; readonly now: number },
  ): number {
    const table = this.#table;
    let count = 0;
    for (const id of ids) {
      const slot = find(this.#table, id);
      if (slot === NONE || table.suspended[slot] === (suspended ? 1 : 0)) continue;
      table.suspended[slot] = suspended ? 1 : 0;
      count++;
      const at = table.at[slot];
      if (suspended ? at !== AT.PENDING && at !== AT.READY : at !== AT.SUSPENDED) continue;
      this.#detach(slot);
      this.#wait(slot, { due: table.due[slot]!, now });
    }
    return count;
  }

  /** `smtpctl pause` and `resume` of an agent. Returns false when it was so already. */
  setPaused({ agent, paused }: { readonly agent: "mda" | "mta"; readonly paused: boolean }): boolean {
    const changed = this.#paused[agent] !== paused;
    this.#paused[agent] = paused;
    return changed;
  }

  /** The lanes that hold most and those that hold the oldest, `most` of each: a scan of all, milliseconds for a million. */
  lanes(most: number): { lanes: LaneRecord[]; count: number; oldestAt: number | null } {
    const { lanes, ...rest } = summariseLanes(this.#table, this.#lanes, most);
    return { lanes: lanes.map((lane) => this.#limited(lane)), ...rest };
  }

  /** How old the envelopes are, by `bounds` in seconds: a scan of all. */
  ages(bounds: readonly number[], now: number): Ages {
    return countAges(this.#table, bounds, now);
  }

  /** As `states`, with the lanes. */
  waits(ids: readonly EnvelopeId[]): WaitState[] {
    return ids.map((id) => {
      const slot = find(this.#table, id);
      const lane = slot === NONE ? null : this.#limited(this.#lanes.state(this.#table.laneOf(slot)));
      return { state: this.#stateOf(id), lane };
    });
  }

  /** With what keeps all lanes of its agent from sending. */
  #limited<T extends LaneState>(lane: T): T {
    if (this.#paused[lane.agent]) return { ...lane, limit: "paused" };
    const share = lane.jobs === 0 ? IDLE_SHARE : BUSY_SHARE;
    return lane.limit === "open" && !this.#roomFor(lane.agent, share) ? { ...lane, limit: "room" } : lane;
  }

  states(ids: readonly EnvelopeId[]): RunState[] {
    return ids.map((id) => this.#stateOf(id));
  }

  /** When `run` must be called if nothing else happens before; Infinity for never. */
  nextAt(): number {
    if (this.#interrupted) return -Infinity;
    const top = this.#heap.top;
    return top === NONE ? Infinity : this.#heap.wakeAt(top);
  }

  /** Moves what is due, expires what is over, sends what may go. Call again at `nextAt`, which may be now. */
  run(now: number): Effects {
    const effects: Effects = { jobs: [], dsns: [], expired: [] };
    const heap = this.#heap;
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      const slot = heap.top;
      if (slot === NONE || heap.wakeAt(slot) > now) break;
      if (this.#table.deadline(slot) <= now) {
        this.#detach(slot);
        this.#table.at[slot] = AT.EXPIRING;
        effects.expired.push(this.#table.id(slot));
      } else {
        heap.remove(slot);
        this.#ready(slot, this.#table.due[slot]!);
      }
    }
    this.#dispatch(effects, now);
    for (const slot of this.#fresh) {
      if (this.#table.at[slot] === AT.READY && this.#table.heapAt[slot] === NONE) heap.push(slot);
    }
    this.#fresh = [];
    return effects;
  }

  /**
   * One job of every agent in turn, and of each agent one of every lane in turn, while there is room. `maxSchedule` ends a pass but parts no
   * job: the recipients of a message would cost the other side a transaction each.
   */
  #dispatch(effects: Effects, now: number): void {
    const end = this.#inflight + (this.#limits.maxSchedule ?? Infinity);
    const growing = new Map<string, GrowingJob>();
    for (let idle = false; !idle;) {
      idle = true;
      for (const agent of AGENTS) {
        this.#interrupted = this.#inflight >= end;
        if (this.#interrupted) return;
        if (this.#paused[agent] || !this.#roomFor(agent, IDLE_SHARE)) continue;
        const lane = this.#lanes.turn(agent, this.#roomFor(agent, BUSY_SHARE) ? "any" : "idle");
        if (lane === NONE) continue;
        idle = false;
        const taken = this.#take(lane, now);
        if (agent !== "bounce") this.#send({ lane, agent, ...taken }, effects, growing);
        else {
          this.#dsnDue.delete(taken.hi);
          effects.dsns.push({ message: messageIdOf(taken.hi), ids: taken.ids });
        }
      }
    }
  }

  #roomFor(agent: Agent, share: Readonly<Record<Agent, number>>): boolean {
    return this.#inflight < Math.max(1, Math.floor(this.#limits.maxInflight * share[agent]));
  }

  /** Takes what goes together from the front of a lane: envelopes of one message. They are in flight. */
  #take(lane: Lane, now: number): { readonly hi: MessageNumber; readonly ids: EnvelopeId[] } {
    const table = this.#table;
    const first = this.#lanes.head(lane);
    const hi = table.message(first);
    const left = Math.max(1, this.#limits.maxInflight - this.#inflight);
    const room = Math.min(MAX_JOB_ENVELOPES, left, this.#lanes.room(lane));
    const job = this.#freeJobs.pop() ?? this.#jobs.push(0) - 1;
    const ids: EnvelopeId[] = [];
    for (let slot = first; slot !== NONE && table.hi[slot] === hi && ids.length < room; slot = this.#lanes.head(lane)) {
      this.#heap.remove(slot);
      this.#lanes.unlink(lane, slot);
      table.at[slot] = AT.INFLIGHT;
      table.due[slot] = now;
      table.job[slot] = job;
      ids.push(table.id(slot));
    }
    this.#jobs[job] = ids.length;
    this.#inflight += ids.length;
    this.#lanes.started(lane, ids.length);
    this.#lanes.requeue(lane);
    return { hi, ids };
  }

  /**
   * Makes a job of what was taken from a lane. Where the action has a smarthost the lanes of other domains may have had their turn for the same message in
   * this pass: then it joins theirs, for all of them go to that host in one transaction. Each lane counts its own part, as if it were a job.
   */
  #send(
    { lane, agent, hi, ids }: {
      readonly lane: Lane;
      readonly agent: "mda" | "mta";
      readonly hi: MessageNumber;
      readonly ids: EnvelopeId[];
    },
    effects: Effects,
    growing: Map<string, GrowingJob>,
  ): void {
    const action = this.#lanes.action(lane);
    const shares = agent === "mta" && this.#smarthostActions.has(action);
    const key = `${hi} ${action}`;
    const begun = shares ? growing.get(key) : undefined;
    if (begun !== undefined && begun.ids.length + ids.length <= MAX_JOB_ENVELOPES) return void begun.ids.push(...ids);
    const job: GrowingJob = { type: "job", message: messageIdOf(hi), action, lane: this.#lanes.name(lane), ids };
    effects.jobs.push({ agent, job });
    if (shares) growing.set(key, job);
  }

  /** Puts a slot that stands nowhere where it belongs until `due`. */
  #wait(slot: Slot, { due, now }: { readonly due: number; readonly now: number }): void {
    const table = this.#table;
    if (table.suspended[slot] === 1) {
      table.due[slot] = due;
      table.at[slot] = AT.SUSPENDED;
      return;
    }
    if (this.#lanes.agent(table.laneOf(slot)) === "bounce") due = this.#dsnAt(table.message(slot), { due, now });
    if (due <= now && table.deadline(slot) > now) return this.#ready(slot, due);
    table.due[slot] = due;
    table.at[slot] = AT.PENDING;
    this.#heap.push(slot);
  }

  /** Requests for a DSN about one message that come due within a second of each other go together. */
  #dsnAt(message: MessageNumber, { due, now }: { readonly due: number; readonly now: number }): number {
    const planned = this.#dsnDue.get(message);
    if (planned !== undefined && due <= planned + DSN_MERGE_MS) return planned;
    const at = Math.max(due, now + DSN_MERGE_MS);
    this.#dsnDue.set(message, at);
    return at;
  }

  #ready(slot: Slot, due: number): void {
    const table = this.#table;
    table.due[slot] = due;
    table.at[slot] = AT.READY;
    this.#lanes.append(table.laneOf(slot), slot);
    this.#fresh.push(slot);
  }

  /** Out of the heap, the line or the job that it is in. */
  #detach(slot: Slot): void {
    const table = this.#table;
    const lane = table.laneOf(slot);
    if (table.at[slot] === AT.INFLIGHT) {
      const job = table.job[slot]!;
      const left = --this.#jobs[job]!;
      if (left === 0) this.#freeJobs.push(job);
      this.#inflight--;
      table.job[slot] = NONE;
      if (left === 0) this.#lanes.jobEnded(lane);
      this.#lanes.returned(lane);
      return;
    }
    this.#heap.remove(slot);
    if (table.at[slot] === AT.READY) this.#lanes.unlink(lane, slot);
  }

  #forget(slot: Slot): void {
    this.#detach(slot);
    const lane = this.#table.laneOf(slot);
    if (this.#lanes.agent(lane) === "bounce") this.#dsnDue.delete(this.#table.message(slot));
    this.#lanes.leave(lane);
    this.#table.delete(slot);
  }

  #nextDue(slot: Slot, now: number, retryClass: RetryClass | undefined): number {
    const table = this.#table;
    const agent = this.#lanes.agent(table.laneOf(slot));
    const createdAt = table.createdAt[slot]!;
    const latest = now + longestWait(agent, table.expiresAt[slot]! - createdAt);
    return Math.min(nextDue(agent, { createdAt, tries: table.tries[slot]!, now, retryClass }), latest);
  }

  #stateOf(id: EnvelopeId): RunState {
    const table = this.#table;
    const slot = find(this.#table, id);
    if (slot === NONE) return { id, state: "unknown", at: 0 };
    const at = table.due[slot]!;
    switch (table.at[slot]) {
      case AT.INFLIGHT:
        return { id, state: "inflight", at };
      case AT.SUSPENDED:
        return { id, state: "suspended", at };
      case AT.READY:
        return { id, state: this.#lanes.full(table.laneOf(slot)) ? "held" : "pending", at };
      default:
        return { id, state: "pending", at };
    }
  }
}
