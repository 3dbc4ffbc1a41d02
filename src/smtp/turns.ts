/** Whose turn it is among sessions with much to do: one a round of the event loop, so that everybody else waits for one of them at most. */

/** Sessions that wait with what was read of them, at most: 64 MB. More are served at once. */
const MAX_WAITING = 1024;

export interface Guest {
  turn(): void;
}

export class Turns {
  readonly #waiting = new Set<Guest>();
  readonly #soon: (run: () => void) => void;
  #due = false;

  /** `soon` calls once, after what the sockets bring in the meantime. */
  constructor(soon: (run: () => void) => void) {
    this.#soon = soon;
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

  /** It is gone. */
  delete(guest: Guest): void {
    this.#waiting.delete(guest);
  }

  #arrange(): void {
    if (this.#due || this.#waiting.size === 0) return;
    this.#due = true;
    this.#soon(() => {
      this.#due = false;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next.turn();
      this.#arrange();
    });
  }
}
