/**
 * The connections that workers of this process have been given, those of clients and doors: unix sockets and pipes the runtime leaves open when a
 * worker ends, and those of any kind that a stuck one was sent and has not taken, so that whoever is at the other end would wait for ever.
 */

/** By then the thread of the worker has ended and closes nothing more. */
const CLOSE_MS = 10_000;

/** What is asked of the system. */
export interface SocketSystem {
  /** Returns a mark of the socket or pipe; null when the descriptor is none. */
  mark(descriptor: number): bigint | null;
  /** Ends a connection, both ways, and leaves the descriptor open. Does nothing to a pipe. */
  shutDown(descriptor: number): void;
  closeDescriptor(descriptor: number): void;
  /** Calls `run` once, later. */
  after(ms: number, run: () => void): void;
}

export class GivenSockets<Worker> {
  readonly #system: SocketSystem;
  /** By worker: descriptors, and the mark of what each was. A descriptor that is used again replaces its entry. */
  readonly #given = new Map<Worker, Map<number, bigint>>();

  constructor(system: SocketSystem) {
    this.#system = system;
  }

  /** A connection is about to go to a worker. */
  give(worker: Worker, descriptor: number): void {
    const mark = this.#system.mark(descriptor);
    if (mark === null) return;
    const given = this.#given.get(worker) ?? new Map<number, bigint>();
    this.#given.set(worker, given.set(descriptor, mark));
  }

  /** The worker has ended: its connections end. */
  lost(worker: Worker): void {
    const given = [...this.#given.get(worker) ?? []];
    this.#given.delete(worker);
    // A number that was closed since may be another socket's by now.
    const left = () => given.filter(([descriptor, mark]) => this.#system.mark(descriptor) === mark);
    const open = left();
    if (open.length === 0) return;
    for (const [descriptor] of open) this.#system.shutDown(descriptor);
    this.#system.after(CLOSE_MS, () => {
      for (const [descriptor] of left()) this.#system.closeDescriptor(descriptor);
    });
  }
}
