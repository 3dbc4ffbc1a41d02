/**
 * Group commit: what arrives in one turn of the event loop, from all doors, is one transaction with one sync to disk; then all answers go out.
 * While the disk syncs, the next turn's work gathers in the ports, so that groups grow with the load. Group follows group by a timer of 0 ms, not by
 * `soon`, so that messages of other isolates come in between: see `Turn` in clock.ts.
 */

import { logTrace, NO_OBSERVER, type Observer } from "../../events/mod.ts";
import type { Store } from "./store.ts";
import { databaseFault } from "./disk_errors.ts";
import { type Clock, soon, systemClock } from "../../clock.ts";

/** How long an outcome may wait for a commit that happens anyway. A crash in this time repeats a delivery, it loses nothing. */
const LINGER_MS = 4;
/** So many of them wait no longer. */
const LINGER_WRITES = 32;
/** So many of them go in one transaction: when ten thousand envelopes expire at once, other work does not wait for all of them. */
const LINGER_GROUP = 256;
/** Pause before a write that must not be given up is tried again. */
const RETRY_MS = 1000;
/** SQLite's code for a full disk. */
const FULL = 13;

/** Something to be stored. */
export interface Write {
  /** Octets of message text in it, for a trace; none when it is left out. */
  readonly bytes?: number;
  /** It frees room, or stores an outcome: it may use what is kept for that when the disk is full. */
  readonly frees?: true;
  /** Runs the statements, inside the transaction. May run again in a later transaction if this one fails. */
  apply(): void;
  /** It is on stable storage. */
  done(): void;
  /** Nothing of the transaction is kept. Null: try again until it works. */
  readonly failed: ((error: unknown) => void) | null;
}

export class Commits {
  readonly #store: Store;
  readonly #observer: Observer;
  #writes: Write[] = [];
  /** Those that no caller waits for. */
  #later: Write[] = [];
  #synced = false;
  #soon = false;
  readonly #clock: Clock;
  #cancelLinger: (() => void) | null = null;
  #cancelRetry: (() => void) | null = null;
  #failed: Write[] = [];
  /** Of those that have failed, what is being tried now. */
  #again: Write[] = [];
  #closed = false;
  /** Called after each group's answers. */
  onflushed: () => void = () => {};
  /** Called when the disk is full and something would make room: gives what is kept for that. False when there is nothing left. */
  onfull: () => boolean = () => false;
  /** While it is true, a write that a caller waits for and that would take room is refused: the room that is there is for others. */
  sparing: () => boolean = () => false;
  /** Called when a transaction failed. */
  onerror: (error: unknown) => void = () => {};

  constructor(store: Store, observer: Observer = NO_OBSERVER, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#store = store;
    this.#observer = observer;
  }

  /** Somebody waits for it. */
  now(write: Write): void {
    this.#writes.push(write);
    this.#synced = true;
    this.#schedule();
  }

  /** May wait a few milliseconds for others, and writes that a caller waits for may overtake it. */
  later(write: Write): void {
    this.#later.push(write);
    if (this.#soon) return;
    if (this.#later.length >= LINGER_WRITES) return this.#schedule();
    this.#cancelLinger ??= this.#clock.after(LINGER_MS, () => this.flush());
  }

  /** Needs to be in the database, not yet safe from a power failure: a later synced commit makes it so. */
  unsynced(write: Write): void {
    this.#writes.push(write);
    this.#schedule();
  }

  /** One transaction for what has gathered. */
  flush(): void {
    this.#soon = false;
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (this.#closed) return;
    const later = this.#later.splice(0, LINGER_GROUP);
    const gathered = [...this.#writes, ...later];
    const durability = this.#synced || later.length > 0 ? "synced" : "unsynced";
    this.#writes = [];
    this.#synced = false;
    if (this.#later.length > 0) this.#cancelLinger = this.#clock.after(0, () => this.flush());
    // Whoever is refused may have something to write at once: it goes with the next.
    const writes = this.#spare(gathered);
    if (writes.length === 0) return;
    const traced = this.#observer.traces("queue");
    const began = traced ? this.#clock.steady() : 0;
    try {
      this.#store.begin(durability);
      for (const write of writes) write.apply();
      this.#store.commit();
    } catch (error) {
      this.#store.rollback();
      this.onerror(error);
      this.#giveUp(this.#makeRoomWith(writes, error), error);
      return this.onflushed();
    }
    if (traced) this.#trace(writes, durability === "synced" ? "synced" : "not synced", this.#clock.steady() - began);
    for (const write of writes) write.done();
    this.onflushed();
  }

  #trace(writes: readonly Write[], how: "synced" | "not synced", ms: number): void {
    const bytes = writes.reduce((sum, write) => sum + (write.bytes ?? 0), 0);
    const text = `committed ${writes.length} write${writes.length === 1 ? "" : "s"}, ${bytes} bytes`;
    logTrace(this.#observer, "queue", `${text}, ${how}, in ${ms.toFixed(1)} ms`);
  }

  /** Stores what has gathered and accepts no more. */
  close(): void {
    this.#writes = [...this.#writes, ...this.#later, ...this.#again, ...this.#failed];
    this.#later = [];
    this.#again = [];
    this.#failed = [];
    this.#synced = true;
    this.flush();
    this.#closed = true;
    this.#cancelRetry?.();
    this.#cancelLinger?.();
  }

  /** Refuses what would take room that is kept for others; answers the rest. */
  #spare(writes: readonly Write[]): readonly Write[] {
    if (!this.sparing()) return writes;
    const error = Object.assign(new Error("database or disk is full"), { errcode: FULL });
    for (const { frees, failed } of writes) if (frees !== true) failed?.(error);
    return writes.filter(({ frees, failed }) => frees === true || failed === null);
  }

  /** On a full disk, does what makes room with the room that is kept for it. Answers what is left undone. */
  #makeRoomWith(writes: readonly Write[], error: unknown): readonly Write[] {
    if (databaseFault(error) !== "full") return writes;
    const freeing = writes.filter(({ frees }) => frees === true);
    if (freeing.length === 0 || !this.onfull()) return writes;
    return this.#transact(freeing) === null ? writes.filter(({ frees }) => frees !== true) : writes;
  }

  #giveUp(writes: readonly Write[], error: unknown): void {
    const again: Write[] = [];
    for (const write of writes) {
      if (write.failed === null) again.push(write);
      else write.failed(error);
    }
    this.#tryLater(again);
  }

  #tryLater(writes: readonly Write[]): void {
    for (const write of writes) this.#failed.push(write);
    if (this.#failed.length === 0 || this.#closed) return;
    this.#cancelRetry ??= this.#clock.after(RETRY_MS, () => {
      this.#cancelRetry = null;
      this.#again = this.#again.concat(this.#failed);
      this.#failed = [];
      this.#tryAgain();
    });
  }

  /** A group of what has failed, and then the next: when a full disk has room again there may be thousands, and others wait meanwhile. */
  #tryAgain(): void {
    const group = this.#again.splice(0, LINGER_GROUP);
    if (group.length === 0 || this.#closed) return;
    const error = this.#transact(group);
    if (error !== null && isDiskError(error)) {
      // The disk is still full, or worse: no need to ask it about each.
      this.#tryLater([...this.#makeRoomWith(group, error), ...this.#again.splice(0)]);
    } else if (error !== null) {
      // One transaction each: a write that can never work, say about a damaged row, holds back no other.
      this.#tryLater(group.filter((write) => this.#transact([write]) !== null));
    }
    this.onflushed();
    if (this.#again.length > 0) this.#clock.after(0, () => this.#tryAgain());
  }

  /** The error; null when they are stored. */
  #transact(writes: readonly Write[]): unknown {
    try {
      this.#store.begin("synced");
      for (const write of writes) write.apply();
      this.#store.commit();
    } catch (error) {
      this.#store.rollback();
      this.onerror(error);
      return error;
    }
    for (const write of writes) write.done();
    return null;
  }

  #schedule(): void {
    if (this.#soon) return;
    this.#soon = true;
    soon(() => this.flush());
  }
}

function isDiskError(error: unknown): boolean {
  const fault = databaseFault(error);
  return fault === "full" || fault === "io";
}

export const NO_ROOM = { code: 452, text: "4.3.1 Insufficient system storage, try again later" } as const;

/** Returns the SMTP reply when nothing could be stored: 452 when the disk is full, else 451. */
export function refusal(error: unknown): { readonly code: number; readonly text: string } {
  // No space left on the device, a quota, or the database's own limit.
  if (databaseFault(error) === "full") return NO_ROOM;
  return { code: 451, text: "4.3.0 The message could not be stored, try again later" };
}
