/**
 * What happened in each minute of the last day, for the plots of the admin page: a ring of fixed size, filled from events. Control keeps one while an
 * admin address is configured; it lives as long as the isolate, through a reload. Uses no clock.
 */

import { bucketOf, HISTOGRAMS, quantile } from "./histograms.ts";
import type { Event } from "./types.ts";

/** A day of minutes. */
const MINUTES = 1440;
const MINUTE_MS = 60_000;
const DELAYS = HISTOGRAMS["delivery.delay"].bounds, AGES = HISTOGRAMS["queue.age"].bounds;

/** What is counted per minute, in messages (accepted), refusals, or envelopes. */
const COUNTED = ["accepted", "delivered", "relayed", "deferred", "failed", "refused"] as const;
type Counted = typeof COUNTED[number];

/** Some minutes together. */
export interface SeriesBucket extends Readonly<Record<Counted, number>> {
  /** When it begins, in ms since the epoch. */
  readonly at: number;
  /** In seconds, of what was delivered or relayed; null where nothing was. */
  readonly delayP50: number | null;
  readonly delayP95: number | null;
  /** Envelopes in the queue by age, at its last look at it, as AGE_LABELS names them; null where there was none. */
  readonly queue: readonly number[] | null;
}

/** What the numbers of `queue` are, the youngest first. */
export const AGE_LABELS: readonly string[] = [
  "under 1 minute",
  "1 to 5 minutes",
  "5 to 15 minutes",
  "15 minutes to 1 hour",
  "1 to 4 hours",
  "4 to 12 hours",
  "12 hours to 1 day",
  "1 to 2 days",
  "2 to 4 days",
  "over 4 days",
];

export class Series {
  readonly #counts: Readonly<Record<Counted, Uint32Array>>;
  readonly #delays = new Uint32Array(MINUTES * (DELAYS.length + 1));
  readonly #ages = new Uint32Array(MINUTES * (AGES.length + 1));
  /** 1 where the queue was looked at. */
  readonly #looked = new Uint8Array(MINUTES);
  /** The minute that is being counted, since the epoch. */
  #minute: number;
  /** The first minute that was counted. */
  readonly #since: number;

  /** Begins to count at `now`, in ms since the epoch. */
  constructor(now: number) {
    this.#counts = Object.fromEntries(COUNTED.map((key) => [key, new Uint32Array(MINUTES)])) as Record<
      Counted,
      Uint32Array
    >;
    this.#since = this.#minute = Math.floor(now / MINUTE_MS);
  }

  /** Octets of all that is counted: fixed. */
  get bytes(): number {
    return COUNTED.length * MINUTES * 4 + this.#delays.byteLength + this.#ages.byteLength + this.#looked.byteLength;
  }

  /** Takes in one event that came at `now`. */
  observe(event: Event, now: number): void {
    switch (event.type) {
      case "smtp-message":
        return this.#count("accepted", now);
      case "smtp-failed-command":
        return this.#count("refused", now);
      case "queue-expire":
        return this.#count("failed", now);
      case "delivery":
        if (event.outcome === "tempfail") return this.#count("deferred", now);
        if (event.outcome !== "ok") return this.#count("failed", now);
        this.#count(event.agent === "mta" ? "relayed" : "delivered", now);
        this.#delays[this.#slot(now) * (DELAYS.length + 1) + bucketOf(DELAYS, event.delayMs / 1000)]!++;
        return;
      default:
        return;
    }
  }

  /** Takes in how many envelopes of each age there are, in the buckets of `queue.age`. */
  aged(counts: readonly number[], now: number): void {
    if (counts.length !== AGES.length + 1) return;
    const slot = this.#slot(now);
    this.#ages.set(counts, slot * (AGES.length + 1));
    this.#looked[slot] = 1;
  }

  /**
   * Returns the last `hours` hours, at most 24, the oldest first, in buckets of so many minutes that begin at multiples of them. Those before the start
   * are there with zeros. The last one is not over.
   */
  buckets(
    now: number,
    { hours = 24, minutes = 10 }: { readonly hours?: number; readonly minutes?: number },
  ): SeriesBucket[] {
    this.#slot(now);
    const size = Math.max(1, Math.min(60, Math.floor(minutes)));
    const span = Math.max(size, Math.min(MINUTES, Math.ceil(hours * 60)));
    const last = Math.floor(this.#minute / size) * size;
    // A whole ring would have its oldest bucket cut: a part of it is overwritten already.
    const count = Math.min(Math.floor(span / size), Math.floor((MINUTES - size) / size) + 1);
    return Array.from(
      { length: count },
      (_, index) => this.#bucket({ from: last - (count - 1 - index) * size, minutes: size }),
    );
  }

  #bucket({ from, minutes }: { readonly from: number; readonly minutes: number }): SeriesBucket {
    const sums = { accepted: 0, delivered: 0, relayed: 0, deferred: 0, failed: 0, refused: 0 };
    const delays = new Uint32Array(DELAYS.length + 1);
    let queue: number[] | null = null;
    for (let minute = from; minute < from + minutes; minute++) {
      if (minute > this.#minute || minute < this.#since || minute <= this.#minute - MINUTES) continue;
      const slot = minute % MINUTES;
      for (const key of COUNTED) sums[key] += this.#counts[key][slot]!;
      for (let index = 0; index < delays.length; index++) delays[index]! += this.#delays[slot * delays.length + index]!;
      if (this.#looked[slot] === 0) continue;
      queue = [...this.#ages.subarray(slot * (AGES.length + 1), (slot + 1) * (AGES.length + 1))];
    }
    return {
      at: from * MINUTE_MS,
      ...sums,
      delayP50: quantile(DELAYS, delays, 0.5),
      delayP95: quantile(DELAYS, delays, 0.95),
      queue,
    };
  }

  #count(key: Counted, now: number): void {
    this.#counts[key][this.#slot(now)]!++;
  }

  /** The place of the minute of `now`; those in between are emptied. A clock that goes back counts on in the minute that it came from. */
  #slot(now: number): number {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute > this.#minute) {
      const from = Math.max(this.#minute + 1, minute - MINUTES + 1);
      for (let each = from; each <= minute; each++) this.#empty(each % MINUTES);
      this.#minute = minute;
    }
    return this.#minute % MINUTES;
  }

  #empty(slot: number): void {
    for (const key of COUNTED) this.#counts[key][slot] = 0;
    this.#delays.fill(0, slot * (DELAYS.length + 1), (slot + 1) * (DELAYS.length + 1));
    this.#ages.fill(0, slot * (AGES.length + 1), (slot + 1) * (AGES.length + 1));
    this.#looked[slot] = 0;
  }
}
