/** The configurations that lookup answers by: the one in use, and those of which there are sessions left. */

import type { LookupSettings } from "../protocol/mod.ts";
import type { Authoriser } from "./authorise.ts";
import type { Logins } from "./logins.ts";
import type { Lookups } from "./lookup_engine.ts";

/** What one configuration says, ready to answer. */
export interface Configured {
  readonly settings: LookupSettings;
  readonly lookups: Lookups;
  readonly logins: Logins;
  readonly authoriser: Authoriser;
}

/** The configuration that is in use, and those of which there are sessions left. */
export class Configurations {
  current: Configured;
  #generation: number;
  readonly #older = new Map<number, Configured>();

  constructor(first: Configured, generation: number) {
    this.current = first;
    this.#generation = generation;
  }

  /** Returns the configuration with that number; the one in use where it is not known here. */
  of(generation: number): Configured {
    return this.#older.get(generation) ?? this.current;
  }

  use(generation: number, configured: Configured): void {
    this.#older.set(this.#generation, this.current);
    this.current = configured;
    this.#generation = generation;
  }

  /** True when that one is known: it is in use again, and the one that was is forgotten. */
  restore(generation: number): boolean {
    if (generation === this.#generation) return true;
    const older = this.#older.get(generation);
    if (older === undefined) return false;
    this.#older.delete(generation);
    const failed = this.current;
    this.current = older;
    this.#generation = generation;
    this.#close(failed);
    return true;
  }

  forget(generation: number): void {
    const older = this.#older.get(generation);
    if (older === undefined) return;
    this.#older.delete(generation);
    this.#close(older);
  }

  /** Closes the tables of one that nobody asks any more, but for those that others use as well. */
  #close({ lookups }: Configured): void {
    const used = new Set([this.current, ...this.#older.values()].flatMap(({ lookups }) => lookups.files));
    for (const opened of lookups.files) if (!used.has(opened)) opened.table.close();
  }
}
