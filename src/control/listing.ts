/** The line of `show queue` for one envelope: 14 fields between bars. Pure. */

import type { Envelope, Mailbox, ReversePath } from "../envelope/mod.ts";
import { vis } from "../events/mod.ts";
import type { RunState } from "../protocol/mod.ts";

/** An envelope as the queue lists it. */
export type ListedEnvelope = Envelope & { readonly expiresAt: number };

/**
 * `EVPID|src|agent|flags|sender|rcpt|dest|created|expires|lasttry|retries|runstate|delay|error`. `state` is null when the daemon is down.
 * `now` in ms since the epoch.
 */
export function formatListing(envelope: ListedEnvelope, state: RunState | null, now: number): string {
  return [
    envelope.id,
    family(envelope.origin.address),
    envelope.agent,
    flags(envelope, state),
    address(envelope.sender),
    address(envelope.rcpt),
    address(envelope.dest),
    seconds(envelope.createdAt),
    seconds(envelope.expiresAt),
    seconds(envelope.lastTryAt),
    envelope.tries,
    runState(state, now),
    field(envelope.errorLine),
  ].join("|");
}

/** Suspended and held envelopes show as pending; the flags distinguish them. */
function runState(state: RunState | null, now: number): string {
  if (state === null) return "offline|";
  if (state.state === "inflight") return `inflight|${Math.max(0, Math.floor((now - state.at) / 1000))}`;
  const due = state.state === "pending" ? Math.max(0, Math.ceil((state.at - now) / 1000)) : 0;
  return `pending|${due}`;
}

function flags(envelope: ListedEnvelope, state: RunState | null): string {
  return flagsOf(envelope, state).join(",");
}

/** The words that say what is special about an envelope. */
export function flagsOf(envelope: ListedEnvelope, state: RunState | null): string[] {
  const set: string[] = [];
  if (envelope.agent === "bounce") set.push("bounce");
  if (envelope.origin.authenticated) set.push("auth");
  if (envelope.internal) set.push("internal");
  if (envelope.suspended) set.push("suspend");
  if (state?.state === "held") set.push("hold");
  return set;
}

function family(origin: string): string {
  if (origin === "local") return "local";
  if (origin.startsWith("[") || origin.includes(":")) return "inet6";
  return /^[\d.]+$/.test(origin) ? "inet4" : "?";
}

/** The null sender prints as `@`. */
function address(path: ReversePath | Mailbox): string {
  return path === null ? "@" : field(`${path.local}@${path.domain}`);
}

/** A bar is legal in a local part (RFC 5322 §3.2.3), and would shift the fields: it is written as vis(3) writes octal. */
function field(text: string): string {
  return vis(text).replaceAll("|", "\\174");
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
