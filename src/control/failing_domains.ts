/** Domains that take no mail at present: those of which nothing but failures have been reported for a while. Bounded; uses no clock. */

import { BoundedMap } from "../bounded_map.ts";
import type { DeliveryEvent } from "../events/mod.ts";

/** Domains that are remembered; the one that failed first is forgotten. */
const MAX_DOMAINS = 10_000;
/** A domain has failed for so long, in ms, and as many attempts in a row, before it counts. */
const FAILING_MS = 15 * 60_000, FAILING_ATTEMPTS = 3;
/** What was not tried for so long no mail waits for, in ms. */
const FORGET_MS = 6 * 3_600_000;

interface Failing {
  readonly since: number;
  attempts: number;
  lastAt: number;
}

export class FailingDomains {
  readonly #domains = new BoundedMap<string, Failing>(MAX_DOMAINS);

  /** Takes in an attempt that ended at `now`, in ms. A refusal for good is an answer: the domain works. */
  observe({ agent, outcome, to }: DeliveryEvent, now: number): void {
    if (agent !== "mta") return;
    const domain = to.domain.toLowerCase();
    if (outcome !== "tempfail") return void this.#domains.delete(domain);
    const known = this.#domains.get(domain);
    if (known === undefined) return void this.#domains.set(domain, { since: now, attempts: 1, lastAt: now });
    known.attempts++;
    known.lastAt = now;
  }

  /** How many fail at `now`. */
  count(now: number): number {
    let count = 0;
    for (const [domain, { since, attempts, lastAt }] of this.#domains) {
      if (now - lastAt > FORGET_MS) this.#domains.delete(domain);
      else if (attempts >= FAILING_ATTEMPTS && now - since >= FAILING_MS) count++;
    }
    return count;
  }
}
