/**
 * Which rows of a segment have which key: sorted lists of numbers, each a key of 32 bits and a row of 20. A segment that is being written has them in memory, as
 * few runs that are merged when they are of like size; one that is full has a single run, on disk. Pure.
 */

import type { FieldKey } from "./fields.ts";

/** Rows of a segment at most: a posting is a whole number below 2⁵². */
export const MAX_ROWS = 2 ** 20;

/** A key of 32 bits in a row, as one number. */
export function posting(key: FieldKey, row: number): number {
  return key * MAX_ROWS + row;
}

/** The place of the first posting of a sorted run that is not below `value`. */
export function lowerBound(run: Float64Array, value: number): number {
  let low = 0, high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (run[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Both sorted runs as one; what stands in both stands in it twice. */
export function mergeRuns(one: Float64Array, other: Float64Array): Float64Array {
  const merged = new Float64Array(one.length + other.length);
  let a = 0, b = 0;
  for (let at = 0; at < merged.length; at++) {
    if (b === other.length || (a < one.length && one[a]! <= other[b]!)) merged[at] = one[a++]!;
    else merged[at] = other[b++]!;
  }
  return merged;
}

/** Adds the rows of `run` that have the key, and are below `before`, to `rows`: in order. */
export function collectRows(run: Float64Array, key: FieldKey, before: number, rows: number[]): void {
  const end = posting(key, before);
  for (let at = lowerBound(run, posting(key, 0)); at < run.length && run[at]! < end; at++) {
    rows.push(run[at]! - key * MAX_ROWS);
  }
}

/** The postings of a segment that is being written. */
export class PostingRuns {
  #runs: Float64Array[] = [];

  /** `run` is sorted. */
  add(run: Float64Array): void {
    if (run.length === 0) return;
    this.#runs.push(run);
    // Each is more than twice as long as the next: a posting is merged as often as its segment is doubled.
    while (this.#runs.length > 1 && this.#runs.at(-2)!.length < 2 * this.#runs.at(-1)!.length) {
      const last = this.#runs.pop()!;
      this.#runs.push(mergeRuns(this.#runs.pop()!, last));
    }
  }

  collect(key: FieldKey, before: number, rows: number[]): void {
    for (const run of this.#runs) collectRows(run, key, before, rows);
  }

  /** All of them, in order. */
  whole(): Float64Array {
    return this.#runs.reduceRight((merged, run) => mergeRuns(run, merged), new Float64Array(0));
  }
}
