/** The last things by key, in two generations: when there are enough of the younger one, the older one goes as a whole. A Map that loses its first entry each time is slow. */

export class Recent<V> {
  readonly #most: number;
  readonly #ongone: (key: string, value: V) => void;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  /** Keeps at least half of `most`, and no more than `most`. `ongone` gets what goes for that. */
  constructor(most: number, ongone: (key: string, value: V) => void = () => {}) {
    this.#most = most;
    this.#ongone = ongone;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#most / 2) return;
    const gone = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    for (const [key, value] of gone) if (!this.#old.has(key)) this.#ongone(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
