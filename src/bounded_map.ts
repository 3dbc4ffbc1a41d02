/** Maps and sets that remember a limited number of things, for caches whose keys come from outside: when one is full, the oldest entry goes. */

/** A map of at most `limit` entries. What is set again counts as new. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #limit: number;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    // A Map lists its oldest entry first.
    if (this.size > this.#limit) this.delete(this.keys().next().value!);
    return this;
  }
}

/** A set of at most `limit` values. What is added again counts as new. */
export class BoundedSet<Value> extends Set<Value> {
  readonly #limit: number;

  constructor(limit: number) {
    super();
    this.#limit = limit;
  }

  override add(value: Value): this {
    this.delete(value);
    super.add(value);
    if (this.size > this.#limit) this.delete(this.values().next().value!);
    return this;
  }
}
