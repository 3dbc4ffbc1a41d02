/** How often a client may ask, and how often it may try to log in. Pure but for the clock that it is given. */

/** Requests per second of one client over time, and at once. */
const CLIENT_RATE = { perSecond: 50, atOnce: 200 };
/** The same of all clients together. */
const TOTAL_RATE = { perSecond: 200, atOnce: 400 };
/** Tries to log in per minute of one client, and of all. A good login is one, too. */
const CLIENT_LOGINS = { perSecond: 10 / 60, atOnce: 10 }, TOTAL_LOGINS = { perSecond: 60 / 60, atOnce: 60 };
/** Clients that are remembered: the one that was forgotten begins anew. */
const MAX_CLIENTS = 1024;

interface Rate {
  readonly perSecond: number;
  readonly atOnce: number;
}

/** A bucket that fills at a rate. */
interface Bucket {
  left: number;
  /** Ms of the clock. */
  at: number;
}

class Buckets {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes one, and returns 0; or how many seconds to wait until there is one. */
  take(name: string, now: number): number {
    const { perSecond, atOnce } = this.#rate;
    const bucket = this.#buckets.get(name) ?? { left: atOnce, at: now };
    bucket.left = Math.min(atOnce, bucket.left + Math.max(0, now - bucket.at) / 1000 * perSecond);
    bucket.at = now;
    // The one that was used last stands last.
    this.#buckets.delete(name);
    if (this.#buckets.size >= MAX_CLIENTS) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(name, bucket);
    if (bucket.left < 1) return Math.ceil((1 - bucket.left) / perSecond);
    bucket.left--;
    return 0;
  }
}

export class RateLimits {
  readonly #now: () => number;
  readonly #requests = { client: new Buckets(CLIENT_RATE), total: new Buckets(TOTAL_RATE) };
  readonly #logins = { client: new Buckets(CLIENT_LOGINS), total: new Buckets(TOTAL_LOGINS) };

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts a request of a client. Returns 0, or after how many seconds it may ask again. */
  request(client: string): number {
    return this.#take(this.#requests, client);
  }

  /** Counts a try to log in. */
  login(client: string): number {
    return this.#take(this.#logins, client);
  }

  #take({ client, total }: { readonly client: Buckets; readonly total: Buckets }, name: string): number {
    const now = this.#now();
    // One who has used up their own share takes nothing from the others.
    return client.take(name, now) || total.take("", now);
  }
}
