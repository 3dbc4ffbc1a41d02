/** The disposition of an envelope after an outcome: whether it is kept, and whether a DSN is sent. Pure; outcomes.ts stores it. */

import {
  type DsnContent,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  type EnvelopeState,
  NOTIFY,
  type Outcome,
} from "../envelope/mod.ts";
import { nextDue } from "../schedule/mod.ts";
import { retryClassOf } from "./retry_class.ts";

/** Longest `errorLine`. */
const MAX_ERROR_LINE_CHARS = 2047;

type Failure = Exclude<Outcome, { result: "ok" }>;

export interface Disposition {
  /** The envelope leaves the queue. */
  readonly remove: boolean;
  /** Its new state when it stays. */
  readonly state: Omit<EnvelopeState, "suspended"> | null;
  /** The DSN for the sender. */
  readonly dsn: DsnContent | null;
  /** Why there is no DSN although there is a failure. */
  readonly silent: "double bounce" | "no return path" | null;
}

export interface Policy {
  readonly warnIntervalsSeconds: readonly number[];
  /** How long this envelope is kept, in seconds. */
  readonly ttlSeconds: number;
}

/** Decides what becomes of `envelope` after an attempt ended with `outcome` at `now`. */
export function judge(envelope: Envelope, outcome: Outcome, now: number, policy: Policy): Disposition {
  switch (outcome.result) {
    case "ok":
      return { remove: true, state: null, dsn: successDsn(envelope, outcome, policy), silent: null };
    case "tempfail":
      return delayed(envelope, outcome, now, policy);
    case "permfail":
      return failed(envelope, { ...outcome, status: { class: 5, code: outcome.status.code } }, policy);
    case "loop":
      // RFC 3463 §3.5: routing loop detected.
      return failed(envelope, { ...outcome, status: { class: 5, code: "4.6" } }, policy);
  }
}

/**
 * Decides what becomes of an envelope whose time is over: it fails for what the last attempt failed for, whose status stays as it is. RFC 3463
 * §2 has class 4 for what is given up because it failed for so long. What was never tried has 4.4.7 (§3.5: delivery time expired).
 */
export function judgeExpired(envelope: Envelope, policy: Policy): Disposition {
  const { errorLine, status, remote = "" } = envelope;
  const text = errorLine === "" ? EXPIRED : errorLine;
  return failed(envelope, { text, status: status ?? { class: 4, code: "4.7" }, remote, expired: true }, policy);
}

const EXPIRED = "Envelope expired";

/** What the log says of an envelope whose time is over. */
export function expiredText({ errorLine }: Pick<Envelope, "errorLine">): string {
  return errorLine === "" ? EXPIRED : `${EXPIRED} (last failure: ${errorLine})`;
}

/** The envelope that asks for a DSN about envelope `of`. It copies what the DSN needs of that one, see EnvelopeContent.bounce. */
export function dsnEnvelope(of: EnvelopeContent, id: EnvelopeId, bounce: DsnContent, now: number): EnvelopeContent {
  const { sender, rcpt, dest, origin, dsn, handling } = of;
  const common = { id, sender, rcpt, dest, origin, dsn, action: "", internal: true, createdAt: now };
  return { ...common, agent: "bounce", bounce, ...(handling === undefined ? {} : { handling }) };
}

/** Cuts a text for `errorLine`: one line, at most 2047 characters, longer ones end with "...". */
export function errorLine(text: string): string {
  // deno-lint-ignore no-control-regex
  const line = text.replace(/[\x00-\x1f\x7f]+/g, " ").trim();
  return line.length <= MAX_ERROR_LINE_CHARS ? line : `${line.slice(0, MAX_ERROR_LINE_CHARS - 3)}...`;
}

function failed(
  envelope: Envelope,
  error: Pick<DsnContent, "text" | "status" | "remote" | "expired">,
  policy: Policy,
): Disposition {
  const removed = { remove: true, state: null };
  if (envelope.agent === "bounce") return { ...removed, dsn: null, silent: "double bounce" };
  // RFC 5321 §4.5.5: nothing is ever sent about a message with a null reverse-path.
  if (envelope.sender === null) return { ...removed, dsn: null, silent: "no return path" };
  if (!wants(envelope, NOTIFY.FAILURE)) return { ...removed, dsn: null, silent: null };
  const { text, status, expired } = error;
  const dsn: DsnContent = {
    kind: "failed",
    text: errorLine(text),
    status,
    ...remoteOf(error),
    ...(expired === undefined ? {} : { expired }),
    ttlSeconds: policy.ttlSeconds,
  };
  return { ...removed, dsn, silent: null };
}

function delayed(
  envelope: Envelope,
  outcome: Failure,
  now: number,
  policy: Policy,
): Disposition {
  const text = errorLine(outcome.text);
  const status = { class: 4, code: outcome.status.code } as const;
  const tries = envelope.tries + 1;
  const { agent, createdAt } = envelope;
  const nextAt = nextDue(agent, { createdAt, tries, now, retryClass: retryClassOf(text) });
  let lastBounceAt = envelope.lastBounceAt;
  let dsn: DsnContent | null = null;
  // What is over now gets its last DSN next: a server that was off for long would send both.
  const over = envelope.createdAt + policy.ttlSeconds * 1000 <= now;
  const wanted = !over && envelope.agent !== "bounce" && envelope.sender !== null && wants(envelope, NOTIFY.DELAY);
  for (const delaySeconds of wanted ? policy.warnIntervalsSeconds : []) {
    const at = envelope.createdAt + delaySeconds * 1000;
    if (nextAt < at || lastBounceAt >= at) continue;
    lastBounceAt = at;
    dsn = { kind: "delayed", text, status, ...remoteOf(outcome), delaySeconds, ttlSeconds: policy.ttlSeconds };
    break;
  }
  const state = {
    tries,
    lastTryAt: now,
    lastBounceAt,
    errorLine: text,
    status,
    remote: remoteOf(outcome).remote ?? "",
  };
  return { remove: false, state, dsn, silent: null };
}

/** Longest name of a host, RFC 1035 §2.3.4, as a DSN has room for it. */
const MAX_REMOTE_CHARS = 255;

function remoteOf({ remote = "" }: { readonly remote?: string }): { readonly remote?: string } {
  return remote === "" ? {} : { remote: errorLine(remote).slice(0, MAX_REMOTE_CHARS) };
}

/** RFC 3461 §5.2: who asked for a DSN of success gets it from the last server that supports the request. */
function successDsn(
  envelope: Envelope,
  outcome: Extract<Outcome, { result: "ok" }>,
  policy: Policy,
): DsnContent | null {
  if (envelope.sender === null || envelope.agent === "bounce") return null;
  if ((envelope.dsn.notify & NOTIFY.SUCCESS) === 0 || (envelope.dsn.notify & NOTIFY.NEVER) !== 0) return null;
  const status = { class: 2, code: "0.0" } as const;
  const { ttlSeconds } = policy;
  if (envelope.agent === "mda") {
    return { kind: "delivered", text: errorLine(outcome.text) || "Delivered", status, ttlSeconds };
  }
  if (outcome.dsnRelayed === true) return null;
  return { kind: "relayed", text: errorLine(outcome.text) || "Relayed", status, ttlSeconds };
}

/** RFC 3461 §4.1: without NOTIFY a sender gets DSNs of failure and delay; with it, of what it names and nothing else. */
function wants(envelope: Envelope, what: number): boolean {
  const { notify } = envelope.dsn;
  if (notify === 0) return true;
  return (notify & NOTIFY.NEVER) === 0 && (notify & what) !== 0;
}
