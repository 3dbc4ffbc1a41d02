/** Whose turn it is among sessions with much to do: one a round of the event loop, so that everybody else waits for one of them at most. */

/** Sessions that wait with what was read of them, at most: 64 MB. More are served at once. */
const MAX_WAITING = 1024;
/** How long one whose octets are thrown away waits after each read, in milliseconds: 6 MB a second are enough to come to an end. */
const WASTE_MS = 10;

export interface Guest {
  turn(): void;
}

/** The part of Clock that is needed here; see service.ts. */
export interface TurnClock {
  soon(run: () => void): void;
  every(ms: number, run: () => void): () => void;
}

export class Turns {
  readonly #waiting = new Set<Guest>();
  readonly #late = new Map<Guest, () => void>();
  readonly #clock: TurnClock;
  #due = false;

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /** True while others wait, and there is room for one more. */
  get crowded(): boolean {
    return this.#waiting.size > 0 && this.#waiting.size < MAX_WAITING;
  }

  /** Calls `guest.turn` when those before it had theirs. */
  add(guest: Guest): void {
    this.#waiting.add(guest);
    this.#arrange();
  }

  /** The same after a while, for one who sends what nobody wants. */
  addLate(guest: Guest): void {
    if (this.#late.has(guest)) return;
    const cancel = this.#clock.every(WASTE_MS, () => {
      cancel();
      this.#late.delete(guest);
      guest.turn();
    });
    this.#late.set(guest, cancel);
  }

  /** It is gone. */
  delete(guest: Guest): void {
    this.#waiting.delete(guest);
    this.#late.get(guest)?.();
    this.#late.delete(guest);
  }

  #arrange(): void {
    if (this.#due || this.#waiting.size === 0) return;
    this.#due = true;
    this.#clock.soon(() => {
      this.#due = false;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next.turn();
      this.#arrange();
    });
  }
}
