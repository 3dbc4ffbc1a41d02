/**
 * The connections that isolates have: those over unix sockets the runtime leaves open when a worker ends, and those of any kind that a stuck one
 * was sent and has not taken, so that whoever is at the other end would wait for ever.
 */

import type { Native } from "../machine/native.ts";

/** By then the thread of the isolate has ended and closes nothing more. */
const CLOSE_MS = 10_000;

export interface LocalSocketsOptions {
  readonly native: Pick<Native, "socketCookie" | "shutDown" | "close">;
  /** Calls `run` once, later. */
  after(ms: number, run: () => void): void;
}

export class LocalSockets {
  readonly #options: LocalSocketsOptions;
  /** By isolate: descriptors, and the mark of the socket that each had. A descriptor that is used again replaces its entry. */
  readonly #given = new Map<string, Map<number, bigint>>();

  constructor(options: LocalSocketsOptions) {
    this.#options = options;
  }

  /** A connection is about to go to an isolate, by its name. */
  give(isolate: string, descriptor: number): void {
    const cookie = this.#options.native.socketCookie(descriptor);
    if (cookie === null) return;
    const given = this.#given.get(isolate) ?? new Map<number, bigint>();
    this.#given.set(isolate, given.set(descriptor, cookie));
  }

  /** The isolate has ended: the connections of its clients end. */
  lost(isolate: string): void {
    const given = [...this.#given.get(isolate) ?? []];
    this.#given.delete(isolate);
    // A number that was closed since may be another socket's by now.
    const left = () => given.filter(([descriptor, cookie]) => this.#options.native.socketCookie(descriptor) === cookie);
    const open = left();
    if (open.length === 0) return;
    for (const [descriptor] of open) this.#options.native.shutDown(descriptor);
    this.#options.after(CLOSE_MS, () => {
      for (const [descriptor] of left()) this.#options.native.close(descriptor);
    });
  }
}
