/**
 * The queue's client of relay and delivery: takes the envelopes of a job, opens their message, reads its body chunk by chunk, and settles
 * each envelope with its outcome. The smtp isolate, which stores messages, has a client of its own: src/smtp/queue_client.ts.
 */

import { BoundedMap } from "../bounded_map.ts";
import type { Envelope, EnvelopeId, MessageId, Outcome } from "../envelope/mod.ts";
import { Caller, type Channel } from "../isolate/mod.ts";
import type { AgentToQueue, Job, QueueToAgent } from "../protocol/mod.ts";
import type { Clock } from "../clock.ts";

/** A stored body: it comes from the queue chunk by chunk and is never whole in memory. Chunk 0 is at hand, the others are asked for. */
export interface StoredBody {
  /** Size of the whole, in octets. */
  readonly bytes: number;
  readonly chunks: number;
  readonly first: Uint8Array;
  /** Returns chunk `index`, 1 … chunks − 1. Rejects when it cannot be read, with PeerGone when the queue was replaced. */
  chunk(index: number): Promise<Uint8Array>;
}

/** A message that was opened for a job. */
export interface OpenedMessage {
  /** Those that were asked for and are still queued. */
  readonly envelopes: readonly Envelope[];
  readonly body: StoredBody;
}

/** Final outcomes that are remembered: the queue may have ended before it received them, and would then give out the mail again. */
const MAX_FINAL_OUTCOMES = 4_096;

/** How long the queue may take to say that it has received what was sent, in ms. With the time that agents have for what they have begun it is less than the supervisor waits for their end. */
const ARRIVAL_MS = 1_500;

/** What the queue is shown of a job. */
export type TakenJob = Pick<Job, "message" | "ids" | "mac">;

export class QueueClient {
  readonly #queue: Caller<AgentToQueue, QueueToAgent>;
  readonly #unreadable: (text: string) => Error;
  /** Envelopes that wait or are being delivered: after a restart of its own the scheduler may send them again. */
  readonly #inFlight = new Map<EnvelopeId, TakenJob>();
  /** Outcomes after which an envelope never comes back, unless the queue ended before it received them. */
  readonly #final = new BoundedMap<EnvelopeId, Outcome>(MAX_FINAL_OUTCOMES);

  /** `unreadable` makes the error that reading a chunk rejects with, of the queue's reason. */
  constructor(
    channel: Channel<AgentToQueue, QueueToAgent>,
    unreadable: (text: string) => Error = (text) => new Error(text),
  ) {
    this.#queue = new Caller(channel);
    // A fresh queue does not know what is in hand here; it is told before the first outcome.
    this.#queue.onreset = () => {
      const left = Map.groupBy(this.#inFlight, ([, job]) => job);
      for (const [job, held] of left) this.#show(job, held.map(([id]) => id));
    };
    this.#unreadable = unreadable;
  }

  /** Number of envelopes that were taken and are neither settled nor released. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Returns those of the job's ids, or of `only`, that are to be delivered, and counts them as in flight. Not those that are in flight already, and not those that were
   * done with before: their outcomes are sent to the queue again, so that no mail is sent twice.
   */
  take(job: TakenJob, only: readonly EnvelopeId[] = job.ids): EnvelopeId[] {
    const given = only.filter((id) => !this.#inFlight.has(id));
    if (given.length === 0) return [];
    this.#show(job, given);
    const taken = given.filter((id) => !this.#settledBefore(id));
    for (const id of taken) this.#inFlight.set(id, job);
    return taken;
  }

  /** Takes envelopes out of flight that were not settled: they may come again. */
  release(ids: readonly EnvelopeId[]): void {
    for (const id of ids) this.#inFlight.delete(id);
  }

  /**
   * Opens a message for some of its envelopes. Resolves to the reason, as a text, when the queue cannot read it. Rejects with PeerGone when the
   * queue was replaced meanwhile.
   */
  async open(message: MessageId, ids: readonly EnvelopeId[]): Promise<OpenedMessage | string> {
    const answer = await this.#queue.ask<"opened" | "unreadable">({ type: "open", message, ids });
    if (answer.type === "unreadable") return answer.text;
    const { envelopes, bytes, chunks, first } = answer;
    return { envelopes, body: { bytes, chunks, first, chunk: (index) => this.#read(message, index) } };
  }

  /** Sends the outcome of an envelope to the queue; it is not in flight any more. */
  settle(id: EnvelopeId, outcome: Outcome): void {
    this.#queue.send({ type: "outcome", id, outcome });
    this.#inFlight.delete(id);
    if (outcome.result !== "tempfail") this.#final.set(id, outcome);
  }

  /**
   * Resolves when the queue has received all outcomes that were sent so far: before an isolate may be ended, for mail whose outcome is lost is delivered
   * once more. It never rejects and takes at most 1.5 s.
   */
  async arrived(clock: Pick<Clock, "after">): Promise<void> {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => cancel = clock.after(ARRIVAL_MS, resolve));
    // A queue that was replaced meanwhile has nothing to receive them with.
    const arrived = this.#queue.ask<"arrived">({ type: "arrived" }).then(() => {}, () => {});
    await Promise.race([arrived, late]);
    cancel();
  }

  /** Shows the queue that these envelopes of a job were given to this isolate. */
  #show({ message, ids, mac }: TakenJob, given: readonly EnvelopeId[]): void {
    this.#queue.send({ type: "take", message, ids, mac, ...(given.length === ids.length ? {} : { only: given }) });
  }

  async #read(message: MessageId, index: number): Promise<Uint8Array> {
    const answer = await this.#queue.ask<"chunk" | "unreadable">({ type: "read", message, index });
    if (answer.type === "unreadable") throw this.#unreadable(answer.text);
    return answer.bytes;
  }

  #settledBefore(id: EnvelopeId): boolean {
    const outcome = this.#final.get(id);
    if (outcome === undefined) return false;
    this.#queue.send({ type: "outcome", id, outcome });
    return true;
  }
}
