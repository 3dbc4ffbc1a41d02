/** A set of what is mostly one or two things: thousands of these are made per second, and a Set of the runtime costs more than all that is in it. */

/** As many are looked through one by one. */
const FEW = 16;

export class Several<T> implements Iterable<T> {
  readonly #items: T[] = [];
  #set: Set<T> | null = null;

  get size(): number {
    return this.#items.length;
  }

  has(item: T): boolean {
    return this.#set === null ? this.#items.includes(item) : this.#set.has(item);
  }

  /** Returns false when it was there. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    this.#items.push(item);
    if (this.#set !== null) this.#set.add(item);
    else if (this.#items.length > FEW) this.#set = new Set(this.#items);
    return true;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]();
  }
}
