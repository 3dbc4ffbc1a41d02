/**
 * Envelopes that were put off because no route to their domain was left. When the domain takes mail again they need not wait for the next retry. Pure;
 * bounded by `mta max-deferred` for each domain, by the number of domains, and by time.
 */

import type { EnvelopeId } from "../envelope/mod.ts";

/** What is older has been tried again meanwhile, in ms. */
const KEEP_MS = 4 * 3_600_000;
const MAX_DOMAINS = 10_000;

interface Waiting {
  readonly since: number;
  readonly ids: Set<EnvelopeId>;
}

export class Deferred {
  /** The oldest first. */
  readonly #domains = new Map<string, Waiting>();
  /** Envelopes of one domain; 0 remembers none. */
  limit: number;

  /** `limit`: envelopes of one domain; 0 remembers none. */
  constructor(limit: number) {
    this.limit = limit;
  }

  remember(domain: string, ids: readonly EnvelopeId[], now: number): void {
    if (this.limit === 0) return;
    let waiting = this.#domains.get(domain);
    if (waiting === undefined || waiting.since + KEEP_MS <= now) {
      this.#domains.delete(domain);
      for (const [oldest] of this.#domains) {
        if (this.#domains.size < MAX_DOMAINS) break;
        this.#domains.delete(oldest);
      }
      this.#domains.set(domain, waiting = { since: now, ids: new Set() });
    }
    for (const id of ids) {
      if (waiting.ids.size >= this.limit) return;
      waiting.ids.add(id);
    }
  }

  /** The domain has taken mail: returns the envelopes that waited for that, and drops them here. */
  release(domain: string, now: number): EnvelopeId[] {
    const waiting = this.#domains.get(domain);
    if (waiting === undefined) return [];
    this.#domains.delete(domain);
    return waiting.since + KEEP_MS <= now ? [] : [...waiting.ids];
  }
}
