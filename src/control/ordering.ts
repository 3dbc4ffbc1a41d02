/**
 * Keeps the lines of one message in order: the events of delivery come through another door than those of smtp, and could come first. The
 * queue numbers what it commits, in the order in which each smtp isolate gets the answer; an attempt is held back until that isolate has reported
 * the number. Handles numbers, not the meaning of events; pure but for the clock that it is given.
 */

import type { Acceptance } from "../envelope/mod.ts";

/** Attempts that are held back at one time; the one that has waited longest goes first then. */
const MAX_HELD_ATTEMPTS = 10_000;
/** An isolate that does not report is not waited for longer than this, in milliseconds: it is being replaced. */
const MAX_WAIT_MS = 20_000;

interface Held {
  readonly after: Acceptance;
  readonly since: number;
  readonly log: () => void;
}

export class Ordering {
  readonly #now: () => number;
  /** By smtp isolate: which life of it reports here, and the number that it reported last; null when none is known. */
  readonly #reporters = new Map<number, { readonly life: number; number: number | null }>();
  #held: Held[] = [];

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** An smtp isolate begins to report. `known`: none of its earlier reports is lost. */
  addReporter({ isolate, life }: Omit<Acceptance, "number">, { known }: { readonly known: boolean }): void {
    this.#reporters.set(isolate, { life, number: known ? 0 : null });
    this.#release();
  }

  /** It has reported everything up to this number. */
  reported({ isolate, number }: Omit<Acceptance, "life">): void {
    const reporter = this.#reporters.get(isolate);
    if (reporter === undefined) return;
    reporter.number = Math.max(reporter.number ?? 0, number);
    if (this.#held.length > 0) this.#release();
  }

  /** It has ended, and reports nothing more. */
  lost(isolate: number): void {
    const reporter = this.#reporters.get(isolate);
    if (reporter !== undefined) this.#reporters.set(isolate, { life: reporter.life + 1, number: 0 });
    this.#release();
  }

  /** Calls `log` when the message has been reported: mostly at once. */
  after(after: Acceptance | undefined, log: () => void): void {
    if (after === undefined || this.#isDue(after)) return log();
    this.#held.push({ after, since: this.#now(), log: log });
    if (this.#held.length > MAX_HELD_ATTEMPTS || this.#now() - this.#held[0]!.since > MAX_WAIT_MS) {
      this.#held.shift()!.log();
    }
  }

  /** Logs everything that waits. */
  flush(): void {
    for (const { log: log } of this.#held.splice(0)) log();
  }

  #isDue({ isolate, life, number }: Acceptance): boolean {
    const reporter = this.#reporters.get(isolate);
    if (reporter === undefined || reporter.life < life) return false;
    return reporter.life > life || reporter.number === null || reporter.number >= number;
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    for (const one of held) {
      if (this.#isDue(one.after)) one.log();
      else this.#held.push(one);
    }
  }
}
