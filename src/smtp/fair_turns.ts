/**
 * Throttles sessions with much to do: one has its turn per round of the event loop, so that any other session waits for one of them at most. See
 * burst_limiter.ts for many that have little to do. Rounds follow at once, so that an answer of another isolate waits for up to 31 of them (see `Turn` in
 * clock.ts), some 5 ms in the median while four clients send all they can: a timer per round would be quicker for it and cost most of the throughput.
 * Only behind a turn that is costly itself a timer costs little.
 */

/** Sessions that wait with what was read of them, at most: 64 MB. More are served at once. */
const MAX_WAITING_SESSIONS = 1024;
/** One whose octets are thrown away waits for once to twice this long after each read: 6 MB per second are enough to come to an end. */
const WASTE_MS = 5;
/** And as many of them have their turn at a time: 64 KB are read of each, which takes about 0.1 ms. */
const WASTE_AT_ONCE = 4;

/** Pause behind a costly turn, in milliseconds: answers of other isolates come in then. */
const COSTLY_PAUSE_MS = 1;

export interface TurnTaker {
  /** Its turn takes milliseconds: what is read of it is hashed. */
  readonly costly: boolean;
  turn(): void;
}

/** The part of Clock that is needed here; see service.ts. */
export interface TurnClock {
  soon(run: () => void): void;
  every(ms: number, run: () => void): () => void;
}

export class FairTurns {
  readonly #waiting = new Set<TurnTaker>();
  /** Those who came late since the last look, and those who have waited long enough. */
  readonly #late = new Set<TurnTaker>();
  readonly #ripe = new Set<TurnTaker>();
  #stopLooking: (() => void) | null = null;
  readonly #clock: TurnClock;
  #due = false;
  /** The turn before was costly. */
  #costly = false;

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /** True while others wait, and there is room for one more. */
  get crowded(): boolean {
    return this.#waiting.size > 0 && this.#waiting.size < MAX_WAITING_SESSIONS;
  }

  /** Calls `taker.turn` when those before it had theirs. */
  add(taker: TurnTaker): void {
    this.#waiting.add(taker);
    this.#arrange();
  }

  /** The same after a while, for a client that sends what is refused. */
  addLate(taker: TurnTaker): void {
    if (this.#ripe.has(taker)) return;
    this.#late.add(taker);
    this.#stopLooking ??= this.#clock.every(WASTE_MS, () => this.#look());
  }

  /** It is gone. */
  delete(taker: TurnTaker): void {
    this.#waiting.delete(taker);
    this.#late.delete(taker);
    this.#ripe.delete(taker);
  }

  #look(): void {
    const turns = [...this.#ripe.values().take(WASTE_AT_ONCE)];
    for (const taker of turns) this.#ripe.delete(taker);
    for (const taker of this.#late) this.#ripe.add(taker);
    this.#late.clear();
    for (const taker of turns) taker.turn();
    if (this.#late.size + this.#ripe.size > 0) return;
    this.#stopLooking?.();
    this.#stopLooking = null;
  }

  #arrange(): void {
    if (this.#due || this.#waiting.size === 0) return;
    this.#due = true;
    if (!this.#costly) return this.#clock.soon(() => this.#round());
    const cancel = this.#clock.every(COSTLY_PAUSE_MS, () => {
      cancel();
      this.#round();
    });
  }

  #round(): void {
    this.#due = false;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#costly = next.costly;
    next.turn();
    this.#arrange();
  }
}
