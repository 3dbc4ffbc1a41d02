/** Makes outcomes durable: one write for each, with the request for a DSN that it brings in the same transaction. The rules are in disposition.ts. */

import {
  type DsnContent,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  formatMailbox,
  formatPath,
  messageNumber,
  messageOf,
  newEnvelopeId,
  type Outcome,
  rowOf,
} from "../envelope/mod.ts";
import { logTrace } from "../events/mod.ts";
import type { RetryClass } from "../protocol/mod.ts";
import { freshEnvelope } from "./validate_envelope.ts";
import type { QueueState } from "./queue_state.ts";
import { retryClassOf } from "./retry_class.ts";
import { type Disposition, dsnEnvelope, expiredText, judge, judgeExpired } from "./disposition.ts";

/** Draws of an envelope id that its message does not have yet. */
const MAX_DRAWS = 20;

/** What a write found and did; set by `apply`, read by `done`. */
interface Applied {
  readonly envelope: Envelope;
  readonly disposition: Disposition;
  readonly dsn: EnvelopeContent | null;
  readonly erase: boolean;
}

/** Records the outcome of an attempt. `agent` is whose door it came through: no agent reports for another. */
export function recordOutcome(queue: QueueState, agent: "mda" | "mta", id: EnvelopeId, outcome: Outcome): void {
  let applied: Applied | null = null;
  queue.commits.later({
    frees: true,
    apply: () => {
      applied = applyDisposition(queue, id, (envelope) => {
        if (envelope.agent !== agent) return null;
        const policy = policyOf(queue, envelope);
        return judge(envelope, outcome, queue.clock.now(), policy);
      });
    },
    done: () => {
      // The scheduler still has an envelope that is gone: it is dropped there.
      if (applied === null) return queue.envelope(id) === null ? queue.dropped([id]) : undefined;
      finish(queue, applied);
      queue.settled(id, againOf(applied.disposition));
      queue.tally.add(`scheduler.delivery.${outcome.result}`);
    },
    failed: null,
  });
}

/** Records that the time of an envelope is over, as the scheduler says. */
export function recordExpired(queue: QueueState, id: EnvelopeId): void {
  let applied: Applied | null = null;
  queue.commits.later({
    frees: true,
    apply: () => {
      applied = applyDisposition(queue, id, (envelope) => judgeExpired(envelope, policyOf(queue, envelope)));
    },
    done: () => {
      if (applied !== null) {
        finish(queue, applied);
        reportGone(queue, "queue-expire", applied.envelope, expiredText(applied.envelope));
      }
      queue.dropped([id]);
    },
    failed: null,
  });
}

/** Emits the event of the Expire and Remove lines of the log. */
export function reportGone(
  queue: QueueState,
  type: "queue-expire" | "queue-remove",
  envelope: Envelope,
  stat: string,
): void {
  const { agent, id, sender, dest, rcpt, createdAt } = envelope;
  const delayMs = Math.max(0, queue.clock.now() - createdAt);
  queue.emit({ type, agent, envelope: id, from: sender, to: dest, rcpt, delayMs, stat });
}

/** Traces that an envelope is out of the queue, and with the last one its message, if it was not too large to go at once. */
export function traceRemoved(queue: QueueState, id: EnvelopeId): void {
  if (!queue.observer.traces("queue")) return;
  const last = queue.store.message(messageNumber(id)) === null;
  logTrace(queue.observer, "queue", `removed envelope ${id}${last ? ", the last of its message" : ""}`);
}

function policyOf(queue: QueueState, envelope: Envelope) {
  return { warnIntervalsSeconds: queue.settings.warnIntervalsSeconds, ttlSeconds: queue.ttlOf(envelope) };
}

/** What the scheduler is told: whether it is tried again, and by which back-off. */
function againOf({ remove, state }: Disposition): { readonly again: boolean; readonly retryClass?: RetryClass } {
  const retryClass = remove || state === null ? undefined : retryClassOf(state.errorLine);
  return { again: !remove, ...(retryClass === undefined ? {} : { retryClass }) };
}

/** Null when the envelope is no longer queued, or it is not of this agent. */
function applyDisposition(
  queue: QueueState,
  id: EnvelopeId,
  decide: (envelope: Envelope) => Disposition | null,
): Applied | null {
  const { store } = queue;
  const envelope = queue.envelope(id);
  const disposition = envelope === null ? null : decide(envelope);
  if (envelope === null || disposition === null) return null;
  const row = rowOf(id);
  const found = disposition.remove ? store.removeEnvelope(row) : store.setState(row, disposition.state!);
  if (!found) return null;
  const dsn = disposition.dsn === null ? null : addDsnEnvelope(queue, envelope, disposition.dsn);
  const erase = disposition.remove && store.sweep(row.message);
  return { envelope, disposition, dsn, erase };
}

function addDsnEnvelope(queue: QueueState, envelope: Envelope, content: DsnContent): EnvelopeContent {
  const message = messageOf(envelope.id);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const dsn = dsnEnvelope(envelope, newEnvelopeId(message), content, queue.clock.now());
    if (queue.store.addEnvelope(dsn)) return dsn;
  }
  throw new Error(`No free envelope id was found for message ${message}`);
}

/** After the commit: memory, scheduler and log follow. */
function finish(queue: QueueState, { envelope, disposition, dsn, erase }: Applied): void {
  const row = rowOf(envelope.id);
  if (dsn !== null) {
    queue.recent.addEnvelope(rowOf(dsn.id), freshEnvelope(dsn));
    queue.enqueued(dsn);
    queue.tally.add("queue.bounce");
    const { kind, status } = dsn.bounce!;
    if (queue.observer.recording === true) {
      const about = { envelope: envelope.id, rcpt: envelope.dest };
      queue.emit({ type: "queue-dsn-asked", ...about, request: dsn.id, kind, status });
    }
    queue.info(`queue: ${kind} notice ${dsn.id} for ${envelope.id}, to ${formatPath(envelope.sender)}`);
  }
  if (disposition.remove) queue.recent.removeEnvelope(row);
  else queue.recent.setState(row, disposition.state!);
  if (disposition.remove) traceRemoved(queue, envelope.id);
  if (erase) queue.erase(row.message);
  if (disposition.silent === null) return;
  if (queue.observer.recording === true) {
    queue.emit({ type: "queue-dsn-dropped", envelope: envelope.id, reason: disposition.silent });
  }
  queue.warn(silence(envelope, disposition.silent));
}

/** Returns the log line of a failure for which there is no DSN. */
function silence({ id, dest, rcpt, bounce, errorLine }: Envelope, why: "double bounce" | "no return path"): string {
  if (why === "no return path") {
    return `queue: no return path: the sender of ${id} to ${
      formatMailbox(dest)
    } is <>, so that nobody is told of its failure`;
  }
  const cause = bounce === undefined ? "" : ` about <${formatMailbox(rcpt)}> (${bounce.text})`;
  const last = errorLine === "" ? "" : `, last failure: ${errorLine}`;
  return `queue: double bounce: the ${bounce?.kind ?? "failed"} notice ${id}${cause} could not be written${last}`;
}
