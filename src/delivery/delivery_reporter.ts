/** Reports the outcomes of local deliveries to the queue and the log. */

import { type Envelope, type EnvelopeId, newSessionId, type Outcome } from "../envelope/mod.ts";
import type { AttemptDetail, Observer } from "../events/mod.ts";
import type { QueueClient } from "../queue_client/mod.ts";
import type { AttemptResult } from "./attempt.ts";

export class DeliveryReporter {
  readonly #observer: Observer;
  readonly #queue: QueueClient;
  readonly #now: () => number;

  /** `now` returns ms since the epoch. */
  constructor(observer: Observer, queue: QueueClient, now: () => number) {
    this.#observer = observer;
    this.#queue = queue;
    this.#now = now;
  }

  /** Settles one envelope: the outcome goes to the queue, an event to the log. */
  settle(envelope: Envelope, result: AttemptResult, { durationMs }: { readonly durationMs: number }): void {
    const { outcome, stat, user } = result;
    this.#queue.settle(envelope.id, outcome);
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
      ...(this.#observer.recording === true ? { detail: attemptDetail(envelope, result, durationMs) } : {}),
    });
  }

  /** Gives envelopes back to the queue without an attempt, as a temporary failure with `text` as its reason. */
  refuse(ids: readonly EnvelopeId[], text: string): void {
    const outcome: Outcome = { result: "tempfail", text, status: { class: 4, code: "3.0" } };
    for (const id of ids) this.#queue.settle(id, outcome);
    this.#observer.emit({
      type: "log",
      level: "warn",
      text: `warn: mda: ${ids.length} envelope(s) held back: ${text}`,
    });
  }
}

/** What the history is told of an attempt. */
function attemptDetail(
  { tries }: Envelope,
  { outcome, attempt, method = "refused" }: AttemptResult,
  durationMs: number,
): AttemptDetail {
  const status = outcome.result === "ok" ? {} : { status: outcome.status };
  return { method: method === "refused" ? "none" : method, ...status, ...attempt, durationMs, tries: tries + 1 };
}
