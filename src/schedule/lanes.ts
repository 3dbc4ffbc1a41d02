/**
 * Lanes: envelopes of one agent, action and user or destination (the name of the lane) stand in one line and share their limits; lanes with work take turns, so that a busy
 * destination delays no other. Handles lines and turns, not time; see scheduler.ts.
 */

import type { Agent } from "../envelope/mod.ts";
import type { LaneState, TaskMarks } from "../protocol/mod.ts";
import { type EnvelopeTable, type Lane, NONE, type Slot } from "./table.ts";

const MIN_LANES = 64;
/** The rings, as bits. */
const IDLE = 1, BUSY = 2;

export interface LaneLimits {
  /** How many jobs of a lane may run, asked once for each lane. */
  readonly marks: (agent: Agent, name: string) => TaskMarks;
  /** Envelopes in the jobs of one lane. */
  readonly maxInflight: number;
}

/** Lanes of one agent and action, by name. */
interface Group {
  readonly agent: Agent;
  readonly action: string;
  readonly lanes: Map<string, Lane>;
}

export class Lanes {
  readonly #table: EnvelopeTable;
  #limits: LaneLimits;
  readonly #groups: Group[] = [];
  #name: string[] = [];
  #group = new Uint32Array(MIN_LANES);
  /** First and last of the line. */
  #head = new Int32Array(MIN_LANES);
  #tail = new Int32Array(MIN_LANES);
  /** Envelopes in any state, envelopes in flight, jobs in flight. */
  #size = new Uint32Array(MIN_LANES);
  #inflight = new Uint32Array(MIN_LANES);
  #jobs = new Uint32Array(MIN_LANES);
  /** The ring in which it counts, and those that hold its number: a number that counts no more stays until its turn. */
  #inRing = new Uint8Array(MIN_LANES);
  #places = new Uint8Array(MIN_LANES);
  /** Jobs that may run; a held lane waits until there are `lowat` and gets `release` more, see TaskMarks. */
  #hiwat = new Uint32Array(MIN_LANES);
  #lowat = new Uint32Array(MIN_LANES);
  #release = new Uint32Array(MIN_LANES);
  #held = new Uint8Array(MIN_LANES);
  /** Jobs that a held lane may still start. */
  #credit = new Uint32Array(MIN_LANES);
  #free: Lane[] = [];
  #end = 0;
  /** Lanes that may send now, in turn: those of which nothing runs, and the others. */
  readonly #rings: Readonly<Record<Agent, Readonly<Record<typeof IDLE | typeof BUSY, Ring>>>> = {
    bounce: { [IDLE]: new Ring(), [BUSY]: new Ring() },
    mda: { [IDLE]: new Ring(), [BUSY]: new Ring() },
    mta: { [IDLE]: new Ring(), [BUSY]: new Ring() },
  };

  constructor(table: EnvelopeTable, limits: LaneLimits) {
    this.#table = table;
    this.#limits = limits;
  }

  /** Other limits hold from now on, for the lanes that there are as well. What runs goes on. */
  configure(limits: LaneLimits): void {
    this.#limits = limits;
    for (const [group, { lanes }] of this.#groups.entries()) {
      for (const [name, lane] of lanes) {
        this.#mark(lane, group, name);
        if (this.#jobs[lane]! < this.#hiwat[lane]!) this.#held[lane] = 0;
        this.#offer(lane);
      }
    }
  }

  /** The lane's number, made when it is new. The caller counts itself in with `enter`. */
  of(agent: Agent, action: string, name: string): Lane {
    let group = this.#groups.findIndex((each) => each.agent === agent && each.action === action);
    if (group < 0) group = this.#groups.push({ agent, action, lanes: new Map() }) - 1;
    const lanes = this.#groups[group]!.lanes;
    let lane = lanes.get(name);
    if (lane === undefined) lanes.set(name, lane = this.#make(group, name));
    return lane;
  }

  /** The lanes of this agent and name, at most one per action. */
  named(agent: Agent, name: string): Set<Lane> {
    const named = new Set<Lane>();
    for (const group of this.#groups) {
      const lane = group.agent === agent ? group.lanes.get(name) : undefined;
      if (lane !== undefined) named.add(lane);
    }
    return named;
  }

  /** How many numbers of lanes there are, those included that are given back. */
  get end(): number {
    return this.#end;
  }

  /** How a lane stands, whether its agent is paused or not. */
  state(lane: Lane): LaneState {
    return {
      agent: this.agent(lane),
      action: this.action(lane),
      name: this.name(lane),
      envelopes: this.#size[lane]!,
      inflight: this.#inflight[lane]!,
      jobs: this.#jobs[lane]!,
      maxJobs: this.#hiwat[lane]!,
      limit: this.#limitOf(lane),
    };
  }

  #limitOf(lane: Lane): LaneState["limit"] {
    if (this.#jobs[lane]! >= this.#hiwat[lane]!) return "jobs";
    if (this.#held[lane] === 1 && this.#credit[lane] === 0) return "low-water";
    return this.full(lane) ? "envelopes" : "open";
  }

  /** Envelopes in any state. */
  size(lane: Lane): number {
    return this.#size[lane]!;
  }

  agent(lane: Lane): Agent {
    return this.#groups[this.#group[lane]!]!.agent;
  }

  action(lane: Lane): string {
    return this.#groups[this.#group[lane]!]!.action;
  }

  name(lane: Lane): string {
    return this.#name[lane]!;
  }

  /** Envelopes that it may send now, in one more job. */
  room(lane: Lane): number {
    if (this.#jobs[lane]! >= this.#hiwat[lane]! || (this.#held[lane] === 1 && this.#credit[lane] === 0)) return 0;
    return this.#limits.maxInflight - this.#inflight[lane]!;
  }

  head(lane: Lane): Slot {
    return this.#head[lane]! as Slot;
  }

  /** As much of it runs as may. */
  full(lane: Lane): boolean {
    return this.room(lane) <= 0;
  }

  enter(lane: Lane): void {
    this.#size[lane]!++;
  }

  /** An envelope is forgotten; an empty lane is given back. */
  leave(lane: Lane): void {
    if (--this.#size[lane]! > 0) return;
    this.#groups[this.#group[lane]!]!.lanes.delete(this.#name[lane]!);
    this.#name[lane] = "";
    // While its number is still in a ring it cannot be given to another lane: `turn` frees it then.
    this.#inRing[lane] = 0;
    if (this.#places[lane] === 0) this.#free.push(lane);
  }

  /** At the end of the line. */
  append(lane: Lane, slot: Slot): void {
    const table = this.#table;
    const tail = this.#tail[lane]!;
    table.next[slot] = NONE;
    table.previous[slot] = tail;
    if (tail === NONE) this.#head[lane] = slot;
    else table.next[tail] = slot;
    this.#tail[lane] = slot;
    if (this.#jobs[lane]! >= this.#hiwat[lane]!) this.#hold(lane);
    this.#offer(lane);
  }

  /** Out of the line, from wherever it stands. */
  unlink(lane: Lane, slot: Slot): void {
    const table = this.#table;
    const next = table.next[slot]!, previous = table.previous[slot]!;
    if (previous === NONE) this.#head[lane] = next;
    else table.next[previous] = next;
    if (next === NONE) this.#tail[lane] = previous;
    else table.previous[next] = previous;
    table.next[slot] = NONE;
    table.previous[slot] = NONE;
  }

  started(lane: Lane, envelopes: number): void {
    this.#jobs[lane]!++;
    this.#inflight[lane]! += envelopes;
    if (this.#head[lane] === NONE) this.#held[lane] = 0;
    else if (this.#jobs[lane]! >= this.#hiwat[lane]!) this.#hold(lane);
    else if (this.#held[lane] === 1 && --this.#credit[lane]! === 0) this.#relax(lane);
  }

  #hold(lane: Lane): void {
    this.#held[lane] = 1;
    this.#credit[lane] = 0;
  }

  /** With few jobs left a held lane gets more, with none it is free. */
  #relax(lane: Lane): void {
    const jobs = this.#jobs[lane]!, release = this.#release[lane]!;
    if (jobs > this.#lowat[lane]!) return;
    if (jobs === 0 || release === 0) this.#held[lane] = 0;
    else if (this.#credit[lane] === 0) this.#credit[lane] = release;
  }

  /** The last envelope of a job came back; `returned` follows for it. */
  jobEnded(lane: Lane): void {
    this.#jobs[lane]!--;
    if (this.#held[lane] === 1) this.#relax(lane);
  }

  /** One envelope of a job came back. */
  returned(lane: Lane): void {
    this.#inflight[lane]!--;
    this.#offer(lane);
  }

  /**
   * The next lane of this agent that may send; NONE when there is none. Those of which nothing runs go first, and with "idle" no
   * others: a new destination does not wait behind many that are slow. Put it back with `requeue`.
   */
  turn(agent: Agent, from: "idle" | "any"): Lane {
    const lane = this.#turnIn(agent, IDLE);
    return lane === NONE && from === "any" ? this.#turnIn(agent, BUSY) : lane;
  }

  #turnIn(agent: Agent, which: typeof IDLE | typeof BUSY): Lane {
    const ring = this.#rings[agent][which];
    for (let lane = ring.shift(); lane !== NONE; lane = ring.shift()) {
      this.#places[lane]! &= ~which;
      if (this.#size[lane] === 0) {
        if (this.#places[lane] === 0) this.#free.push(lane);
        continue;
      }
      if (this.#inRing[lane] !== which) continue;
      this.#inRing[lane] = 0;
      if (this.#head[lane] !== NONE && !this.full(lane)) return lane;
    }
    return NONE;
  }

  /** The lane has had its turn: behind the others, if it has more to send. */
  requeue(lane: Lane): void {
    this.#offer(lane);
  }

  #offer(lane: Lane): void {
    if (this.#head[lane] === NONE || this.full(lane)) return;
    const which = this.#jobs[lane] === 0 ? IDLE : BUSY;
    this.#inRing[lane] = which;
    if ((this.#places[lane]! & which) !== 0) return;
    this.#places[lane]! |= which;
    this.#rings[this.agent(lane)][which].push(lane);
  }

  #make(group: number, name: string): Lane {
    const lane = this.#free.pop() ?? this.#extend();
    this.#group[lane] = group;
    this.#name[lane] = name;
    this.#head[lane] = this.#tail[lane] = NONE;
    this.#size[lane] =
      this.#inflight[lane] =
      this.#jobs[lane] =
      this.#inRing[lane] =
      this.#held[lane] =
      this.#credit[lane] =
      this.#places[lane] =
        0;
    this.#mark(lane, group, name);
    return lane;
  }

  #mark(lane: Lane, group: number, name: string): void {
    const { hiwat, lowat, release } = this.#limits.marks(this.#groups[group]!.agent, name);
    this.#hiwat[lane] = Math.max(1, hiwat);
    this.#lowat[lane] = Math.min(lowat, this.#hiwat[lane]! - 1);
    this.#release[lane] = release;
  }

  #extend(): Lane {
    if (this.#end === this.#head.length) {
      const wider = <T extends Int32Array | Uint32Array | Uint8Array>(from: T, to: T) => (to.set(from), to);
      const length = Math.ceil(this.#end * 1.5);
      this.#group = wider(this.#group, new Uint32Array(length));
      this.#head = wider(this.#head, new Int32Array(length));
      this.#tail = wider(this.#tail, new Int32Array(length));
      this.#size = wider(this.#size, new Uint32Array(length));
      this.#inflight = wider(this.#inflight, new Uint32Array(length));
      this.#jobs = wider(this.#jobs, new Uint32Array(length));
      this.#inRing = wider(this.#inRing, new Uint8Array(length));
      this.#hiwat = wider(this.#hiwat, new Uint32Array(length));
      this.#lowat = wider(this.#lowat, new Uint32Array(length));
      this.#release = wider(this.#release, new Uint32Array(length));
      this.#held = wider(this.#held, new Uint8Array(length));
      this.#credit = wider(this.#credit, new Uint32Array(length));
      this.#places = wider(this.#places, new Uint8Array(length));
    }
    return this.#end++ as Lane;
  }
}

/** A first-in first-out line of lane numbers. */
class Ring {
  #items = new Int32Array(64);
  #first = 0;
  #count = 0;

  push(lane: Lane): void {
    if (this.#count === this.#items.length) {
      const items = new Int32Array(this.#count * 2);
      for (let i = 0; i < this.#count; i++) items[i] = this.#items[(this.#first + i) % this.#count]!;
      this.#items = items;
      this.#first = 0;
    }
    this.#items[(this.#first + this.#count++) % this.#items.length] = lane;
  }

  shift(): Lane {
    if (this.#count === 0) return NONE;
    const lane = this.#items[this.#first]! as Lane;
    this.#first = (this.#first + 1) % this.#items.length;
    this.#count--;
    return lane;
  }
}
