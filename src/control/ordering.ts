/**
 * Keeps the lines of one message in order: what delivery tells of it comes through another door than what smtp tells, and could come first. The
 * queue numbers what it commits, in the order in which each smtp isolate hears of it; an attempt is held back until that isolate has told of
 * the number. Knows numbers, not what events mean; pure but for the clock that it is given.
 */

import type { Acceptance } from "../envelope/mod.ts";

/** Attempts that are held back at one time; the one that has waited longest goes first then. */
const MAX_HELD = 10_000;
/** An isolate that says nothing about what it was told is not waited for longer than this, in milliseconds: it is being replaced. */
const MAX_WAIT_MS = 20_000;

interface Held {
  readonly after: Acceptance;
  readonly since: number;
  readonly tell: () => void;
}

export class Ordering {
  readonly #now: () => number;
  /** By smtp isolate: which life of it reports here, and the number that it told of last; null when none is known. */
  readonly #heard = new Map<number, { readonly life: number; number: number | null }>();
  #held: Held[] = [];

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An smtp isolate begins to report. `known`: nothing that it said before is lost. */
  welcome(isolate: number, life: number, known: boolean): void {
    this.#heard.set(isolate, { life, number: known ? 0 : null });
    this.#release();
  }

  /** It has told of everything up to this number. */
  told(isolate: number, number: number): void {
    const heard = this.#heard.get(isolate);
    if (heard === undefined) return;
    heard.number = Math.max(heard.number ?? 0, number);
    if (this.#held.length > 0) this.#release();
  }

  /** It has ended, and tells of nothing more. */
  lost(isolate: number): void {
    const heard = this.#heard.get(isolate);
    if (heard !== undefined) this.#heard.set(isolate, { life: heard.life + 1, number: 0 });
    this.#release();
  }

  /** Calls `tell` when the message has been told of: mostly at once. */
  after(after: Acceptance | undefined, tell: () => void): void {
    if (after === undefined || this.#isDue(after)) return tell();
    this.#held.push({ after, since: this.#now(), tell });
    if (this.#held.length > MAX_HELD || this.#now() - this.#held[0]!.since > MAX_WAIT_MS) this.#held.shift()!.tell();
  }

  /** Tells all that waits. */
  flush(): void {
    for (const { tell } of this.#held.splice(0)) tell();
  }

  #isDue({ isolate, life, number }: Acceptance): boolean {
    const heard = this.#heard.get(isolate);
    if (heard === undefined || heard.life < life) return false;
    return heard.life > life || heard.number === null || heard.number >= number;
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const one of held) {
      if (this.#isDue(one.after)) one.tell();
      else this.#held.push(one);
    }
  }
}
