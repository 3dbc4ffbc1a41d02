/**
 * The scheduler's memory: one slot per envelope, a column per field, about 70 bytes each, so that a million queued envelopes stay small.
 * Holds the state and decides nothing; see scheduler.ts.
 */

import {
  type EnvelopeId,
  envelopeIdOf,
  type EnvelopeNumber,
  type EnvelopeRow,
  type MessageNumber,
} from "../envelope/mod.ts";

/** Where an envelope stands. */
export const AT = {
  FREE: 0,
  /** Waits for its time. */
  PENDING: 1,
  /** Due, in its lane's line. */
  READY: 2,
  /** With relay, delivery or the writer of DSNs. */
  INFLIGHT: 3,
  /** The queue has been informed that its time is over. */
  EXPIRING: 4,
  /** Not tried and not expired until the administrator resumes it. */
  SUSPENDED: 5,
} as const;

declare const slot: unique symbol, lane: unique symbol;

/** The place of an envelope in the columns of the table. */
export type Slot = number & { readonly [slot]: true };
/** The number of a lane; see lanes.ts. */
export type Lane = number & { readonly [lane]: true };

/** No slot, no lane, no job. */
export const NONE = -1 as Slot & Lane;

const MIN_SLOTS = 1024;

export class EnvelopeTable {
  /** The id's first and last 8 digits. */
  hi = new Uint32Array(MIN_SLOTS);
  lo = new Uint32Array(MIN_SLOTS);
  /** ms since the epoch: when it is due, and while in flight since when. */
  due = new Float64Array(MIN_SLOTS);
  createdAt = new Float64Array(MIN_SLOTS);
  expiresAt = new Float64Array(MIN_SLOTS);
  tries = new Uint16Array(MIN_SLOTS);
  /** 1: it does not expire before it was tried once. */
  owed = new Uint8Array(MIN_SLOTS);
  /** One of AT. */
  at = new Uint8Array(MIN_SLOTS);
  /** 1: to be suspended; an envelope in flight is so when it comes back. */
  suspended = new Uint8Array(MIN_SLOTS);
  lane = new Int32Array(MIN_SLOTS);
  job = new Int32Array(MIN_SLOTS);
  /** Neighbours in the lane's line; `next` also links free slots. */
  next = new Int32Array(MIN_SLOTS);
  previous = new Int32Array(MIN_SLOTS);
  /** Place in the heap, NONE when not in it. */
  heapAt = new Int32Array(MIN_SLOTS).fill(NONE);
  /** Slots ever used: those of a scan. */
  end = 0;
  size = 0;
  #free: Slot = NONE;
  /** Open addressing, slot + 1; at most half full. */
  #index = new Int32Array(MIN_SLOTS * 2);

  /** Bytes of all columns and the index. */
  get bytes(): number {
    return this.hi.length * (4 + 4 + 8 * 3 + 2 + 1 + 1 + 1 + 4 * 5) + this.#index.byteLength;
  }

  find({ message, envelope }: EnvelopeRow): Slot {
    const mask = this.#index.length - 1;
    for (let place = hash(message, envelope) & mask;; place = (place + 1) & mask) {
      const slot = this.#index[place]! - 1 as Slot;
      if (slot === NONE) return NONE;
      if (this.lo[slot] === envelope && this.hi[slot] === message) return slot;
    }
  }

  /** A slot for an id that is not in the table yet; it is pending. */
  insert({ message, envelope }: EnvelopeRow): Slot {
    const slot = this.#take();
    this.hi[slot] = message;
    this.lo[slot] = envelope;
    this.at[slot] = AT.PENDING;
    this.suspended[slot] = 0;
    this.owed[slot] = 0;
    this.job[slot] = NONE;
    this.next[slot] = NONE;
    this.previous[slot] = NONE;
    this.heapAt[slot] = NONE;
    this.size++;
    if (this.size * 2 > this.#index.length) this.#rehash(this.#index.length * 2);
    else this.#place(slot);
    return slot;
  }

  delete(slot: Slot): void {
    this.#unplace(slot);
    this.at[slot] = AT.FREE;
    this.next[slot] = this.#free;
    this.#free = slot;
    this.size--;
  }

  /** When its time is over; never while an attempt is owed. */
  deadline(slot: Slot): number {
    return this.owed[slot] === 1 ? Infinity : this.expiresAt[slot]!;
  }

  /** The clock was set by `step` ms: what is known keeps its age, and waits no longer for it. */
  shift(step: number): void {
    for (let slot = 0 as Slot; slot < this.end; slot++) {
      this.createdAt[slot]! += step;
      this.expiresAt[slot]! += step;
      if (step < 0) this.due[slot]! += step;
    }
  }

  laneOf(slot: Slot): Lane {
    return this.lane[slot]! as Lane;
  }

  message(slot: Slot): MessageNumber {
    return this.hi[slot]! as MessageNumber;
  }

  id(slot: Slot): EnvelopeId {
    return envelopeIdOf({ message: this.message(slot), envelope: this.#envelope(slot) });
  }

  #envelope(slot: Slot): EnvelopeNumber {
    return this.lo[slot]! as EnvelopeNumber;
  }

  #hash(slot: Slot): number {
    return hash(this.message(slot), this.#envelope(slot));
  }

  #take(): Slot {
    if (this.#free !== NONE) {
      const slot = this.#free;
      this.#free = this.next[slot]! as Slot;
      return slot;
    }
    if (this.end === this.hi.length) this.#grow(Math.ceil(this.end * 1.5));
    return this.end++ as Slot;
  }

  #grow(slots: number): void {
    this.hi = grown(this.hi, new Uint32Array(slots));
    this.lo = grown(this.lo, new Uint32Array(slots));
    this.due = grown(this.due, new Float64Array(slots));
    this.createdAt = grown(this.createdAt, new Float64Array(slots));
    this.expiresAt = grown(this.expiresAt, new Float64Array(slots));
    this.tries = grown(this.tries, new Uint16Array(slots));
    this.owed = grown(this.owed, new Uint8Array(slots));
    this.at = grown(this.at, new Uint8Array(slots));
    this.suspended = grown(this.suspended, new Uint8Array(slots));
    this.lane = grown(this.lane, new Int32Array(slots));
    this.job = grown(this.job, new Int32Array(slots));
    this.next = grown(this.next, new Int32Array(slots));
    this.previous = grown(this.previous, new Int32Array(slots));
    this.heapAt = grown(this.heapAt, new Int32Array(slots));
  }

  #place(slot: Slot): void {
    const mask = this.#index.length - 1;
    let place = this.#hash(slot) & mask;
    while (this.#index[place] !== 0) place = (place + 1) & mask;
    this.#index[place] = slot + 1;
  }

  #rehash(length: number): void {
    this.#index = new Int32Array(length);
    for (let slot = 0 as Slot; slot < this.end; slot++) if (this.at[slot] !== AT.FREE) this.#place(slot);
  }

  /** Takes the slot out of the index and moves later ones of its run up, so that no tombstones gather. */
  #unplace(slot: Slot): void {
    const mask = this.#index.length - 1;
    let hole = this.#hash(slot) & mask;
    while (this.#index[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let place = (hole + 1) & mask; this.#index[place] !== 0; place = (place + 1) & mask) {
      const other = this.#index[place]! - 1 as Slot;
      const home = this.#hash(other) & mask;
      if (((place - home) & mask) >= ((place - hole) & mask)) {
        this.#index[hole] = other + 1;
        hole = place;
      }
    }
    this.#index[hole] = 0;
  }
}

function hash(message: MessageNumber, envelope: EnvelopeNumber): number {
  const mixed = Math.imul(envelope ^ Math.imul(message, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function grown<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from as never);
  return to;
}
