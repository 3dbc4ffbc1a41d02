/** Programs that the filter isolate has started, to be ended when it can no longer do that. Accepts only process ids of our own children. */

/** What is asked of the system. */
export interface ChildSystem {
  /** Is it a process that this one has started, and that was not waited for? */
  isChild(pid: number): boolean;
  /** Throws when there is no such process. */
  kill(pid: number, signal: Deno.Signal): void;
}

export class Children {
  readonly #system: ChildSystem;
  /** Programs that there may be at one time: those of the configuration. */
  limit: number;
  readonly #pids = new Set<number>();

  constructor(system: ChildSystem, limit: number) {
    this.#system = system;
    this.limit = limit;
  }

  /** Notes the child `pid`. False, and nothing is noted, when it is no child of this process, or more than the configuration has programs. */
  add(pid: number): boolean {
    if (this.#pids.has(pid)) return true;
    if (!this.#system.isChild(pid)) return false;
    if (this.#pids.size >= this.limit) {
      // Those whose end was not reported yet must not take up room.
      for (const known of this.#pids) if (!this.#system.isChild(known)) this.#pids.delete(known);
      if (this.#pids.size >= this.limit) return false;
    }
    this.#pids.add(pid);
    return true;
  }

  /** The child has ended: its number may soon be another's. */
  delete(pid: number): void {
    this.#pids.delete(pid);
  }

  /** Sends `signal` to all that are still there. */
  end(signal: Deno.Signal): void {
    for (const pid of this.#pids) {
      if (!this.#system.isChild(pid)) continue;
      try {
        this.#system.kill(pid, signal);
      } catch {
        // It has ended already.
      }
    }
  }
}
