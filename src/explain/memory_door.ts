/** Both sides of a door within one process: what is sent arrives in a later microtask, copied as over a port. */

import type { Channel } from "../isolate/mod.ts";

/** One side, whose messages `deliver` brings to the other. */
class Side<Out, In> implements Channel<Out, In> {
  onmessage: (message: In) => void = () => {};
  onreset: () => void = () => {};
  readonly connected = true;
  readonly #deliver: (message: Out) => void;

  constructor(deliver: (message: Out) => void) {
    this.#deliver = deliver;
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
  const asking: Channel<Asks, Answers> = new Side<Asks, Answers>((message) => answering.onmessage(message));
  const answering: Channel<Answers, Asks> = new Side<Answers, Asks>((message) => {
    seen(message);
    asking.onmessage(message);
  });
  return { asking, answering };
}
