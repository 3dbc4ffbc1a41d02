/** Makes outcomes durable: one write for each, with the bounce that it brings in the same transaction. The rules are in verdict.ts. */

import {
  type DsnContent,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  formatMailbox,
  formatPath,
  messageOf,
  newEnvelopeId,
  type Outcome,
} from "../envelope/mod.ts";
import { logTrace } from "../events/mod.ts";
import { envelopeNumber, messageNumber } from "./store/keys.ts";
import { freshEnvelope } from "./validate_envelope.ts";
import type { QueueState } from "./queue_state.ts";
import { bounceEnvelope, type Disposition, expiredText, judge, judgeExpired } from "./disposition.ts";

/** Draws of an envelope id that its message does not have yet. */
const MAX_DRAWS = 20;

/** What a write found and did; set by `apply`, read by `done`. */
interface Applied {
  readonly envelope: Envelope;
  readonly verdict: Disposition;
  readonly bounce: EnvelopeContent | null;
  readonly erase: boolean;
}

/** An agent tells how an attempt ended. `agent` is whose door it came through: nobody reports for another. */
export function recordOutcome(vault: QueueState, agent: "mda" | "mta", id: EnvelopeId, outcome: Outcome): void {
  let applied: Applied | null = null;
  vault.commits.later({
    frees: true,
    apply: () => {
      applied = applyDisposition(vault, id, (envelope) => {
        if (envelope.agent !== agent) return null;
        const policy = policyOf(vault, envelope);
        return judge(envelope, outcome, vault.clock.now(), policy);
      });
    },
    done: () => {
      // Whoever still believes in an envelope that is gone hears so.
      if (applied === null) return vault.envelope(id) === null ? vault.dropped([id]) : undefined;
      finish(vault, applied);
      vault.settled(id, !applied.verdict.remove);
      vault.tally.add(`scheduler.delivery.${outcome.result}`);
    },
    failed: null,
  });
}

/** The scheduler tells that an envelope's time is over. */
export function recordExpired(vault: QueueState, id: EnvelopeId): void {
  let applied: Applied | null = null;
  vault.commits.later({
    frees: true,
    apply: () => {
      applied = applyDisposition(vault, id, (envelope) => judgeExpired(envelope, policyOf(vault, envelope)));
    },
    done: () => {
      if (applied !== null) {
        finish(vault, applied);
        reportGone(vault, "queue-expire", applied.envelope, expiredText(applied.envelope));
      }
      vault.dropped([id]);
    },
    failed: null,
  });
}

/** The Expire and Remove lines of the log. */
export function reportGone(
  vault: QueueState,
  type: "queue-expire" | "queue-remove",
  envelope: Envelope,
  stat: string,
): void {
  const { agent, id, sender, dest, rcpt, createdAt } = envelope;
  const delayMs = Math.max(0, vault.clock.now() - createdAt);
  vault.emit({ type, agent, envelope: id, from: sender, to: dest, rcpt, delayMs, stat });
}

/** For the trace: an envelope is out of the queue, and with the last one its message, if it was not too large to go at once. */
export function tellRemoved(vault: QueueState, id: EnvelopeId): void {
  if (!vault.observer.traces("queue")) return;
  const last = vault.store.message(messageNumber(id)) === null;
  logTrace(vault.observer, "queue", `removed envelope ${id}${last ? ", the last of its message" : ""}`);
}

function policyOf(vault: QueueState, envelope: Envelope) {
  return { warnIntervalsSeconds: vault.settings.warnIntervalsSeconds, ttlSeconds: vault.ttlOf(envelope) };
}

/** Null when the envelope is no longer queued, or the verdict is not to be had. */
function applyDisposition(
  vault: QueueState,
  id: EnvelopeId,
  decide: (envelope: Envelope) => Disposition | null,
): Applied | null {
  const { store } = vault;
  const message = messageNumber(id), number = envelopeNumber(id);
  const envelope = vault.envelope(id);
  const verdict = envelope === null ? null : decide(envelope);
  if (envelope === null || verdict === null) return null;
  const found = verdict.remove
    ? store.removeEnvelope(message, number)
    : store.setState(message, number, verdict.state!);
  if (!found) return null;
  const bounce = verdict.bounce === null ? null : addBounce(vault, envelope, verdict.bounce);
  const erase = verdict.remove && store.sweep(message);
  return { envelope, verdict, bounce, erase };
}

function addBounce(vault: QueueState, envelope: Envelope, bounce: DsnContent): EnvelopeContent {
  const message = messageOf(envelope.id);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const facts = bounceEnvelope(envelope, newEnvelopeId(message), bounce, vault.clock.now());
    if (vault.store.addEnvelope(facts)) return facts;
  }
  throw new Error(`No free envelope id was found for message ${message}`);
}

/** After the commit: memory, scheduler and log follow. */
function finish(vault: QueueState, { envelope, verdict, bounce, erase }: Applied): void {
  const message = messageNumber(envelope.id), number = envelopeNumber(envelope.id);
  if (bounce !== null) {
    vault.recent.addEnvelope(message, envelopeNumber(bounce.id), freshEnvelope(bounce));
    vault.enqueued(bounce);
    vault.tally.add("queue.bounce");
    const { kind } = bounce.bounce!;
    vault.info(`queue: ${kind} notice ${bounce.id} for ${envelope.id}, to ${formatPath(envelope.sender)}`);
  }
  if (verdict.remove) vault.recent.removeEnvelope(message, number);
  else vault.recent.setState(message, number, verdict.state!);
  if (verdict.remove) tellRemoved(vault, envelope.id);
  if (erase) vault.erase(message);
  if (verdict.silent !== null) vault.warn(silence(envelope, verdict.silent));
}

/** Why nobody hears of a failure, and of which one. */
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
