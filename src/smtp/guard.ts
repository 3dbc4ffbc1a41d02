/** Failed logins of one client address, remembered for a while. Asks nobody; bounded. */

/** Failures of one address within FORGET_MS after which it is not listened to; loopback is exempt: all its users share it. */
const MAX_FAILURES = 20;
const FORGET_MS = 600_000;
const MAX_ADDRESSES = 4096;

interface Failures {
  count: number;
  readonly until: number;
}

export class Guard {
  readonly #now: () => number;
  readonly #failures = new Map<string, Failures>();

  constructor(now: () => number) {
    this.#now = now;
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
    this.#failures.delete(key);
    // A Map lists its oldest entry first.
    if (this.#failures.size >= MAX_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value!);
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
