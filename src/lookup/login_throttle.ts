/**
 * Failed logins of each client address, over all smtp isolates, remembered for a while. An address that has failed too often is refused; attempts
 * that run at the same time count as failures until it is known, and those beyond wait for them. Asks no other isolate; bounded.
 */

import { BoundedMap } from "../bounded_map.ts";

/** Failures of one address within FORGET_MS after which it is not listened to; loopback is exempt: all its users share it. */
const MAX_FAILURES = 20;
const FORGET_MS = 600_000;
const MAX_ADDRESSES = 4096;

interface Failures {
  count: number;
  readonly until: number;
}

export class LoginThrottle {
  readonly #now: () => number;
  readonly #failures = new BoundedMap<string, Failures>(MAX_ADDRESSES);
  /** Attempts whose result is not known yet. */
  readonly #trying = new Map<string, { count: number; readonly waiting: (() => void)[] }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Makes an attempt to log in from an address, as in Origin; null is not counted. Returns what `attempt` does, or null when the address may try no
   * more. `failed` says whether a result is a failure.
   */
  async attempt<T>(
    address: string | null,
    attempt: () => Promise<T>,
    failed: (result: T) => boolean,
  ): Promise<T | null> {
    if (address === null) return await attempt();
    const key = keyOf(address);
    for (;;) {
      const trying = this.#trying.get(key) ?? { count: 0, waiting: [] };
      const count = this.#known(key)?.count ?? 0;
      if (count >= MAX_FAILURES) return null;
      if (count + trying.count < MAX_FAILURES) {
        trying.count++;
        this.#trying.set(key, trying);
        break;
      }
      await new Promise<void>((resolve) => trying.waiting.push(resolve));
    }
    try {
      const result = await attempt();
      if (failed(result)) this.failed(address);
      return result;
    } finally {
      const trying = this.#trying.get(key)!;
      if (--trying.count === 0) this.#trying.delete(key);
      for (const wake of trying.waiting.splice(0)) wake();
    }
  }

  /** `address` as in Origin. */
  blocked(address: string): boolean {
    return (this.#known(keyOf(address))?.count ?? 0) >= MAX_FAILURES;
  }

  failed(address: string): void {
    const key = keyOf(address);
    const known = this.#known(key);
    if (known !== undefined) {
      known.count++;
      return;
    }
    this.#failures.set(key, { count: 1, until: this.#now() + FORGET_MS });
  }

  #known(key: string): Failures | undefined {
    const known = this.#failures.get(key);
    return known !== undefined && known.until > this.#now() ? known : undefined;
  }
}

/** An IPv6 client has a network of 64 bits to itself. */
function keyOf(address: string): string {
  if (!address.startsWith("[")) return address;
  const [head = "", tail] = address.slice(1, -1).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array<string>(Math.max(0, tail === undefined ? 0 : 8 - before.length - after.length)).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
