/** What happens, counted while someone looks on by `smtpctl top`: nothing is counted, and an event costs one look, while nobody does. */

import type { Event } from "../events/mod.ts";
import type { Rates } from "./protocol.ts";

type Counts = { -readonly [Name in keyof Rates]: number };

const NOTHING: Rates = { accepted: 0, delivered: 0, relayed: 0, deferred: 0, failed: 0, refused: 0 };

/** Counts for one who looks on. */
class Counter {
  readonly counts: Counts = { ...NOTHING };
  /** Ms of the clock that the owner goes by. */
  since: number;

  constructor(now: number) {
    this.since = now;
  }
}

/** All who look on. */
export class Activity {
  readonly #counters = new Set<Counter>();

  /** Takes in one event. */
  observe(event: Event): void {
    if (this.#counters.size === 0) return;
    const name = kindOf(event);
    if (name === null) return;
    for (const { counts } of this.#counters) counts[name]++;
  }

  /** Someone looks on from now on, until `end` is called. `take` returns what happened per second since the last call; `now` in ms. */
  watch(now: number): { take(now: number): Rates; end(): void } {
    const counter = new Counter(now);
    this.#counters.add(counter);
    return {
      take: (now) => {
        const seconds = Math.max(1, now - counter.since) / 1000;
        const rates = { ...NOTHING } as Counts;
        for (const name of Object.keys(NOTHING) as (keyof Rates)[]) {
          rates[name] = Math.round(counter.counts[name] * 1000 / seconds) / 1000;
          counter.counts[name] = 0;
        }
        counter.since = now;
        return rates;
      },
      end: () => void this.#counters.delete(counter),
    };
  }
}

function kindOf(event: Event): keyof Rates | null {
  switch (event.type) {
    case "smtp-message":
      return "accepted";
    case "smtp-failed-command":
    case "smtp-bad-input":
      return "refused";
    case "delivery":
      if (event.outcome === "ok") return event.agent === "mda" ? "delivered" : "relayed";
      return event.outcome === "tempfail" ? "deferred" : "failed";
    case "queue-expire":
      return "failed";
    default:
      return null;
  }
}
