/** Envelopes that are in hand, and what became of those that were: told to the queue and to the log, and told again when a job comes twice. */

import { type Envelope, type EnvelopeId, newSessionId, type Outcome } from "../envelope/mod.ts";
import type { Observer } from "../events/mod.ts";
import type { AttemptResult } from "./attempt.ts";
import type { QueueClient } from "./source.ts";

/** Final outcomes that are remembered. */
const FINAL_LIMIT = 4_096;

export class InFlight {
  readonly #observer: Observer;
  readonly #queue: QueueClient;
  readonly #now: () => number;
  /** Envelopes whose delivery waits or runs: after a restart of its own the scheduler may send them again. */
  readonly #busy = new Set<EnvelopeId>();
  /** Outcomes after which an envelope never comes back, unless the queue died before it heard of it. Then it is told again. */
  readonly #final = new Map<EnvelopeId, Outcome>();

  constructor(observer: Observer, queue: QueueClient, now: () => number) {
    this.#observer = observer;
    this.#queue = queue;
    this.#now = now;
  }

  /** Envelopes in hand. */
  get size(): number {
    return this.#busy.size;
  }

  /** Those that are neither in hand nor done with. They are in hand until they are settled or released. */
  take(ids: readonly EnvelopeId[]): EnvelopeId[] {
    const taken = ids.filter((id) => !this.#busy.has(id) && !this.#toldAgain(id));
    for (const id of taken) this.#busy.add(id);
    return taken;
  }

  release(ids: readonly EnvelopeId[]): void {
    for (const id of ids) this.#busy.delete(id);
  }

  settle(envelope: Envelope, { outcome, stat, user }: AttemptResult): void {
    this.#queue.settle(envelope.id, outcome);
    this.#busy.delete(envelope.id);
    if (outcome.result !== "tempfail") this.#remember(envelope.id, outcome);
    this.#observer.emit({
      type: "delivery",
      agent: "mda",
      session: newSessionId(),
      envelope: envelope.id,
      from: envelope.sender,
      to: envelope.dest,
      rcpt: envelope.rcpt,
      delayMs: Math.max(0, this.#now() - envelope.createdAt),
      outcome: outcome.result,
      stat,
      user,
      ...(envelope.accepted === undefined ? {} : { accepted: envelope.accepted }),
    });
  }

  /** Back to the queue without an attempt: not now. */
  refuse(ids: readonly EnvelopeId[], text: string): void {
    const outcome: Outcome = { result: "tempfail", text, status: { class: 4, code: "3.0" } };
    for (const id of ids) this.#queue.settle(id, outcome);
    this.release(ids);
    this.#observer.emit({
      type: "log",
      level: "warn",
      text: `warn: mda: ${ids.length} envelope(s) held back: ${text}`,
    });
  }

  #remember(id: EnvelopeId, outcome: Outcome): void {
    if (this.#final.size >= FINAL_LIMIT) this.#final.delete(this.#final.keys().next().value!);
    this.#final.set(id, outcome);
  }

  /** An outcome was lost with a queue that died: say it again instead of delivering a second time. */
  #toldAgain(id: EnvelopeId): boolean {
    const outcome = this.#final.get(id);
    if (outcome === undefined) return false;
    this.#queue.settle(id, outcome);
    return true;
  }
}
