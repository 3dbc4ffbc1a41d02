/** Both sides of a door within one process: what is sent arrives in a later microtask, copied as over a port, and waits for who listens. */

import type { Channel } from "../isolate/mod.ts";

/** One side, whose messages `deliver` brings to the other. */
class Side<Out, In> implements Channel<Out, In> {
  onreset: () => void = () => {};
  readonly connected = true;
  readonly #deliver: (message: Out) => void;
  #listener: ((message: In) => void) | null = null;
  /** What came before anybody listened. */
  #early: In[] = [];

  constructor(deliver: (message: Out) => void) {
    this.#deliver = deliver;
  }

  get onmessage(): (message: In) => void {
    return this.#listener ?? (() => {});
  }

  set onmessage(listener: (message: In) => void) {
    this.#listener = listener;
    const early = this.#early;
    this.#early = [];
    if (early.length > 0) queueMicrotask(() => early.forEach((message) => this.receive(message)));
  }

  receive(message: In): void {
    if (this.#listener === null) this.#early.push(message);
    else this.#listener(message);
  }

  send(message: Out, transfer: Transferable[] = []): void {
    const copy = structuredClone(message, { transfer });
    queueMicrotask(() => this.#deliver(copy));
  }
}

/** Returns the side that asks and the side that answers. `seen` is called with each answer on its way. */
export function memoryDoor<Asks, Answers>(
  seen: (answer: Answers) => void = () => {},
): { readonly asking: Channel<Asks, Answers>; readonly answering: Channel<Answers, Asks> } {
  const asking: Side<Asks, Answers> = new Side((message) => answering.receive(message));
  const answering: Side<Answers, Asks> = new Side((message) => {
    seen(message);
    asking.receive(message);
  });
  return { asking, answering };
}
