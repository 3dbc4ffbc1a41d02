/** What tests of transports wait for. */

import type { Transport } from "../../src/isolate/mod.ts";

/** What a transport has handed on, and a way to wait for it. */
export class Received {
  readonly posts: unknown[][] = [];
  readonly faults: string[] = [];
  closes = 0;
  #wake = () => {};

  constructor(transport: Transport) {
    transport.receive({
      onpost: (post) => (this.posts.push(post as unknown[]), this.#wake()),
      onfault: (fault) => (this.faults.push(fault), this.#wake()),
      onclose: () => (this.closes++, this.#wake()),
    });
  }

  get messages(): unknown[] {
    return this.posts.flat();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#wake = resolve);
  }
}
