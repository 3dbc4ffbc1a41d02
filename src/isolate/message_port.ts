/** Transports within one process: the ports of a MessageChannel, and a worker's own port, which carries two things. */

import type { PostReceiver, Transport } from "./transport.ts";

/** What is used of a port. MessagePort, Worker and the worker's own scope have it. */
export interface PostPort {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
  onmessageerror?: ((event: MessageEvent) => void) | null;
  close?(): void;
}

/** A door over a MessagePort. */
export class PortTransport implements Transport {
  readonly #port: PostPort;

  constructor(port: PostPort) {
    this.#port = port;
  }

  post(messages: readonly unknown[], transfer: Transferable[]): void {
    this.#port.postMessage(messages, transfer);
  }

  receive(receiver: PostReceiver): void {
    this.#port.onmessage = ({ data, ports }) => {
      if (ports?.length > 0) receiver.onfault("a post carries ports");
      else receiver.onpost(data);
    };
    // What cannot be read was never a message of ours.
    this.#port.onmessageerror = () => receiver.onfault("a post cannot be read");
  }

  close(): void {
    this.#port.onmessage = null;
    this.#port.onmessageerror = null;
    this.#port.close?.();
  }
}

/** Takes the single messages of a worker's own port. */
export interface SingleReceiver {
  /** Called with each that is no list, unchecked. */
  onmessage(message: unknown): void;
  /** Called when something came that neither side sends. */
  onfault(fault: string): void;
  /** Called when anything has come. */
  onheard?(): void;
  /** True where single messages may carry ports: those of main, with its doors. */
  readonly takesPorts: boolean;
}

/**
 * A worker's own port, seen from either side. Single messages start, watch and end the isolate; lists are posts of the door between the isolate
 * and main. One port for both keeps them in order: what an isolate has said to main before it says that it stops arrives before.
 */
export class WorkerPort {
  /** Carries the door to main. */
  readonly door: Transport;
  readonly #port: PostPort;

  constructor(port: PostPort, singles: SingleReceiver) {
    this.#port = port;
    let posts: PostReceiver | null = null;
    port.onmessage = ({ data, ports }) => {
      singles.onheard?.();
      if (ports?.length > 0 && !singles.takesPorts) singles.onfault("it carries ports");
      else if (!Array.isArray(data)) singles.onmessage(data);
      else if (posts === null) singles.onfault("a post may not come from there");
      else posts.onpost(data);
    };
    port.onmessageerror = () => singles.onfault("it cannot be read");
    this.door = {
      post: (messages, transfer) => port.postMessage(messages, transfer),
      receive: (receiver) => posts = receiver,
      close: () => posts = null,
    };
  }

  /** Sends a single message. */
  send(message: object, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }
}
