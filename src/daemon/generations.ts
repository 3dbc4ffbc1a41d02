/**
 * Configurations that are no more in use, of which sessions are left: each is forgotten when its last session has ended. Sessions that are too old are told to
 * end, and so are the oldest when there are too many configurations.
 */

import type { Clock } from "../clock.ts";

/** So long sessions may go on with a configuration that is no more in use, in milliseconds. */
export const GENERATION_GRACE_MS = 900_000;
/** So many configurations of which there are sessions left may be kept beside the one in use. */
export const MAX_OLD_GENERATIONS = 128;

export interface GenerationHooks {
  /** Sessions that have begun with this configuration and are open. */
  sessionsOf(generation: number): number;
  /** Its sessions are to end. */
  retire(generation: number): void;
  /** None of its sessions is left. */
  forget(generation: number): void;
}

export class Generations {
  readonly #hooks: GenerationHooks;
  readonly #clock: Pick<Clock, "after">;
  /** The oldest first, with what keeps its sessions from being ended. */
  readonly #older = new Map<number, () => void>();

  constructor(hooks: GenerationHooks, clock: Pick<Clock, "after">) {
    this.#hooks = hooks;
    this.#clock = clock;
  }

  /** Those that are left, the oldest first. */
  get older(): number[] {
    return [...this.#older.keys()];
  }

  /** Sessions that are open of all of them. */
  get sessions(): number {
    return this.older.reduce((sum, generation) => sum + this.#hooks.sessionsOf(generation), 0);
  }

  /** A configuration is no more in use. */
  add(generation: number): void {
    this.#older.set(generation, this.#clock.after(GENERATION_GRACE_MS, () => this.#hooks.retire(generation)));
    if (this.#hooks.sessionsOf(generation) === 0) return this.end(generation);
    const [oldest] = this.#older.keys();
    if (this.#older.size > MAX_OLD_GENERATIONS) this.#hooks.retire(oldest!);
  }

  /** The last session of a configuration has ended. */
  end(generation: number): void {
    const cancel = this.#older.get(generation);
    if (cancel === undefined) return;
    cancel();
    this.#older.delete(generation);
    this.#hooks.forget(generation);
  }

  /** Nothing happens any more. */
  close(): void {
    for (const cancel of this.#older.values()) cancel();
  }
}
