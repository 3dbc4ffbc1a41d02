/**
 * One side of a door. Messages sent in one turn of the event loop travel as one post: a post wakes a thread and that costs more than the
 * message. Knows nothing of what is said; hides whether the other side is a worker.
 */

/** What a channel needs of a port; MessagePort, Worker and the worker's own scope have it. */
export interface PostPort {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

export interface Channel<Out, In> {
  /** Queues `message` for this turn's post. `transfer` moves buffers instead of copying them. */
  send(message: Out, transfer?: Transferable[]): void;
  /** Called for each message; set once. */
  onmessage: (message: In) => void;
  /** Called when the peer was replaced: answers to earlier questions will not come. */
  onreset: () => void;
}

/** A channel whose port may change: messages sent while there is none wait, up to `limit`, then the oldest are dropped. */
export class DoorChannel<Out, In> implements Channel<Out, In> {
  onmessage: (message: In) => void = () => {};
  onreset: () => void = () => {};
  /** Sees each post before it leaves; null when nobody wants to. */
  watch: ((batch: readonly unknown[]) => void) | null = null;
  #port: PostPort | null = null;
  #batch: Out[] = [];
  #transfer: Transferable[] = [];
  #scheduled = false;
  readonly #limit: number;

  constructor(limit = 100_000) {
    this.#limit = limit;
  }

  attach(port: PostPort): void {
    this.detach();
    this.#port = port;
    port.onmessage = (event) => {
      for (const message of event.data as In[]) this.onmessage(message);
    };
    if (this.#batch.length > 0) this.#schedule();
  }

  /** The peer has ended: what was asked of it is lost, what is sent from now on waits for the next one. */
  detach(): void {
    if (this.#port === null) return;
    this.#port.onmessage = null;
    this.#port = null;
    this.#batch = [];
    this.#transfer = [];
    this.onreset();
  }

  send(message: Out, transfer?: Transferable[]): void {
    this.#batch.push(message);
    if (transfer !== undefined) this.#transfer.push(...transfer);
    if (this.#port === null) {
      if (this.#batch.length > this.#limit) this.#batch.shift();
      return;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#port === null || this.#batch.length === 0) return;
    const batch = this.#batch;
    const transfer = this.#transfer;
    this.#batch = [];
    this.#transfer = [];
    if (this.watch !== null) this.watch(batch);
    this.#port.postMessage(batch, transfer);
  }
}

/** The other isolate died before it answered. */
export class PeerGone extends Error {
  constructor() {
    super("The isolate that was asked has ended");
  }
}

/** Messages that are questions or answers carry `call`; others do not. */
interface Message {
  readonly type: string;
  readonly call?: number;
}

/** Questions and answers over a channel, matched by `call`. */
export class Caller<Ask extends Message, Answer extends Message> {
  readonly #channel: Channel<Ask, Answer>;
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  #next = 1;
  /** Messages that answer nothing. */
  onmessage: (message: Answer) => void = () => {};
  onreset: () => void = () => {};

  constructor(channel: Channel<Ask, Answer>) {
    this.#channel = channel;
    channel.onmessage = (message) => {
      const waiting = message.call === undefined ? undefined : this.#waiting.get(message.call);
      if (waiting === undefined) return this.onmessage(message);
      this.#waiting.delete(message.call!);
      waiting.resolve(message);
    };
    channel.onreset = () => {
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const { reject } of waiting) reject(new PeerGone());
      this.onreset();
    };
  }

  /** Sends a message that wants no answer. */
  send(message: Ask, transfer?: Transferable[]): void {
    this.#channel.send(message, transfer);
  }

  /** Asks and waits. Rejects with PeerGone when the other side dies first. `Kind` is the type of the answer that belongs to the question. */
  ask<Kind extends Answer["type" & keyof Answer]>(
    question: DistributiveOmit<Ask, "call">,
  ): Promise<Extract<Answer, { type: Kind }>> {
    const call = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(call, { resolve: resolve as (answer: Answer) => void, reject });
      this.#channel.send({ ...question, call } as unknown as Ask);
    });
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
