/**
 * What happened in the last day, for plots: counted while an admin listener is configured, from events and from a look at the queue each minute. It
 * begins empty with the isolate, and lives through a reload.
 */

import type { Clock } from "../clock.ts";
import { AGE_LABELS, type Event, Series } from "../events/mod.ts";
import type { JsonRecord } from "./protocol.ts";

const LOOK_MS = 60_000;

/** Which part of the day, and in buckets of so many minutes; what is absent or makes no sense has a default. */
export interface SeriesQuery {
  /** 1 to 24. */
  readonly hours?: number;
  /** 1 to 60; by default so many that there are about 144. */
  readonly minutes?: number;
}

export class DaySeries {
  readonly #clock: Clock;
  /** How many envelopes there are of each age; null when the scheduler does not answer. */
  readonly #ages: () => Promise<readonly number[] | null>;
  #series: Series | null = null;
  #stop: (() => void) | null = null;

  constructor(clock: Clock, ages: () => Promise<readonly number[] | null>) {
    this.#clock = clock;
    this.#ages = ages;
  }

  /** Begins to count, goes on, or forgets all. */
  configure({ on }: { readonly on: boolean }): void {
    if (!on) return this.close();
    if (this.#series !== null) return;
    this.#series = new Series(this.#clock.now());
    this.#stop = this.#clock.every(LOOK_MS, () => void this.#look());
    void this.#look();
  }

  observe(event: Event): void {
    this.#series?.observe(event, this.#clock.now());
  }

  /** As JSON: `items` from the oldest, `ages` that name the numbers of `queue`. Empty while nothing is counted. */
  record({ hours = 24, minutes }: SeriesQuery = {}): JsonRecord {
    const span = within(hours, { least: 1, most: 24 });
    const size = within(minutes ?? Math.ceil(span * 60 / 144), { least: 1, most: 60 });
    const buckets = this.#series?.buckets(this.#clock.now(), { hours: span, minutes: size }) ?? [];
    return {
      items: buckets.map(({ at, queue, ...counts }) => ({
        at: new Date(at).toISOString(),
        ...counts,
        queue: queue === null ? null : [...queue],
      })),
      next: null,
      bucketSeconds: size * 60,
      ages: [...AGE_LABELS],
    };
  }

  close(): void {
    this.#stop?.();
    this.#stop = null;
    this.#series = null;
  }

  async #look(): Promise<void> {
    const counts = await this.#ages().catch(() => null);
    if (counts !== null) this.#series?.aged(counts, this.#clock.now());
  }
}

function within(value: number, { least, most }: { readonly least: number; readonly most: number }): number {
  return Number.isFinite(value) ? Math.max(least, Math.min(most, Math.floor(value))) : most;
}
