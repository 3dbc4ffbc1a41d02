/** Messages that another thread sends every few milliseconds, to see how long a busy isolate keeps them waiting. */

export class Pings {
  /** So many have been taken in. */
  taken = 0;
  readonly #worker = new Worker(new URL("./pinging_worker.ts", import.meta.url), { type: "module" });
  readonly #sent = new Int32Array(new SharedArrayBuffer(4));
  #wake = () => {};

  constructor() {
    this.#worker.onmessage = () => {
      this.taken++;
      this.#wake();
    };
    this.#worker.postMessage(this.#sent);
  }

  /** One has been sent and not taken in yet. */
  get waiting(): boolean {
    return Atomics.load(this.#sent, 0) > this.taken;
  }

  /** Resolves when the next one has been taken in. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#wake = resolve);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}
