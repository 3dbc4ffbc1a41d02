/**
 * Matching against lists of regular expressions, as in `match mail-from regex`, in bounded time: RE2's automata need at most a constant for
 * each character of the text and each instruction of the pattern, whatever both are, and all three are limited here.
 */

import { RE2JS, RE2Set } from "re2js";
import { translateEre } from "./ere.ts";
import { LookupError } from "./error.ts";
import { systemClock } from "../clock.ts";

/** Instructions of one pattern; a usual one has 20 to 50. The slowest of this size takes some 50 ms for the longest key. */
const MAX_PATTERN_INSTRUCTIONS = 2000;
/** Instructions of all patterns of a table: some 2,500 of them, which cost less than 100 MB. */
const MAX_TABLE_INSTRUCTIONS = 100_000;
/** Instructions of patterns that are matched at once, each batch by one automaton. */
const BATCH_INSTRUCTIONS = 2000;
/** Bytes that all automata of a table may remember their states with; what does not fit is worked out again. */
const MEMORY = 16 << 20;
const LEAST_MEMORY = 64 << 10;
/** Milliseconds after which a lookup is given up, looked at after each batch. */
const MAX_LOOKUP_MS = 100;

/** Size that a pattern counts with which could not be compiled: to find that out takes time, too. */
const FAULTY_SIZE = 10;
/** Faults that are remembered. */
const MAX_FAULTS = 10;

type Compiled =
  | { readonly ok: true; readonly pattern: string; readonly size: number }
  | { readonly ok: false; readonly reason: string; readonly size: number };

function compile(pattern: string): Compiled {
  const translation = translateEre(pattern);
  if (!translation.ok) return { ...translation, size: FAULTY_SIZE };
  try {
    const size = RE2JS.compile(translation.pattern, RE2JS.DOTALL).programSize();
    if (size > MAX_PATTERN_INSTRUCTIONS) return { ok: false, reason: "it is too large", size };
    return { ok: true, pattern: translation.pattern, size };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error), size: FAULTY_SIZE };
  }
}

/** Why a pattern cannot be used, and so matches nothing; null when it can. */
export function regexFault(pattern: string): string | null {
  const compiled = compile(pattern);
  return compiled.ok ? null : compiled.reason;
}

/** A list of patterns, compiled once. A pattern that is not valid matches nothing. */
export class RegexMatcher {
  readonly #now: () => number;
  readonly #maxSize: number;
  readonly #batches: string[][] = [];
  #sets: RE2Set[] | null = null;
  #batchSize = BATCH_INSTRUCTIONS;
  #size = 0;
  /** The first patterns that match nothing since they are not valid, and why. */
  readonly faults: { readonly pattern: string; readonly reason: string }[] = [];

  /** `now`: milliseconds of a clock that does not go back. `maxSize`: instructions of all patterns. */
  constructor(now: () => number = systemClock.steady, maxSize: number = MAX_TABLE_INSTRUCTIONS) {
    this.#now = now;
    this.#maxSize = maxSize;
  }

  /** `pattern` must be lower-case. */
  add(pattern: string): void {
    if (this.#size > this.#maxSize) return;
    const compiled = compile(pattern);
    this.#size += compiled.size;
    if (!compiled.ok) {
      if (this.faults.length < MAX_FAULTS) this.faults.push({ pattern, reason: compiled.reason });
      return;
    }
    if (this.#batchSize + compiled.size > BATCH_INSTRUCTIONS) {
      this.#batches.push([]);
      this.#batchSize = 0;
    }
    this.#batchSize += compiled.size;
    this.#batches.at(-1)!.push(compiled.pattern);
    this.#sets = null;
  }

  /** Is the pattern of one entry found in `text`, which must be lower-case? An error when that cannot be determined in time. */
  matches(text: string): boolean | LookupError {
    // To leave some out would let mail through that the table was to stop.
    if (this.#size > this.#maxSize) return new LookupError("The table has too many regular expressions");
    this.#sets ??= this.#compileSets();
    const deadline = this.#now() + MAX_LOOKUP_MS;
    for (const [index, set] of this.#sets.entries()) {
      if (set.match(text).length > 0) return true;
      if (index + 1 < this.#sets.length && this.#now() > deadline) {
        return new LookupError(`The regular expressions of the table took longer than ${MAX_LOOKUP_MS} ms`);
      }
    }
    return false;
  }

  #compileSets(): RE2Set[] {
    const memory = Math.max(LEAST_MEMORY, Math.floor(MEMORY / Math.max(1, this.#batches.length)));
    return this.#batches.map((patterns) => {
      const set = new RE2Set(RE2Set.UNANCHORED, RE2JS.DOTALL, memory);
      for (const pattern of patterns) set.add(pattern);
      set.compile();
      return set;
    });
  }
}
