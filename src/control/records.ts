/** What `smtpctl … --json` prints, from what the isolates answer. smtpctl(8) documents the names: src/cli/smtpctl/json_fields.ts. Pure. */

import { type Agent, type Envelope, formatMailbox, messageOf, NOTIFY, type ReversePath } from "../envelope/mod.ts";
import type { Statistic } from "../events/mod.ts";
import type {
  AdminToken,
  CertificateEntry,
  ConfigurationState,
  DamagedEntry,
  DkimKeyState,
  LaneRecord,
  ProcessWalls,
  RelayToControl,
  RunState,
} from "../protocol/mod.ts";
import { flagsOf, type ListedEnvelope } from "./listing.ts";
import type { JsonRecord, JsonValue, TopSample } from "./protocol.ts";

/** Of `show queue`. `state` is null when the daemon is down. */
export function queueRecord(envelope: ListedEnvelope, state: RunState | null, classOf: ClassOf | null): JsonRecord {
  return {
    ...identityOf(envelope),
    source: envelope.origin.address,
    flags: flagsOf(envelope, state),
    createdAt: time(envelope.createdAt),
    expiresAt: time(envelope.expiresAt),
    lastTryAt: time(envelope.lastTryAt),
    tries: envelope.tries,
    state: state === null ? "offline" : state.state,
    dueAt: state?.state === "pending" || state?.state === "held" ? time(state.at) : null,
    inflightSince: state?.state === "inflight" ? time(state.at) : null,
    ...errorOf(envelope, classOf),
  };
}

/** Returns what the text of an outcome means. Injected, so that smtpctl does not load the rules for it at each run. */
export type ClassOf = (outcome: { readonly agent: Agent; readonly text: string }) => string;

/** The last failure, and what it means; null where nothing classifies. */
function errorOf({ agent, errorLine: text }: ListedEnvelope, classOf: ClassOf | null): JsonRecord {
  return text === ""
    ? { error: null, errorClass: null }
    : { error: text, errorClass: classOf?.({ agent, text }) ?? null };
}

/** Of `show envelope`. */
export function envelopeRecord(envelope: ListedEnvelope, classOf: ClassOf): JsonRecord {
  const { origin, dsn, status, bounce } = envelope;
  return {
    ...identityOf(envelope),
    action: envelope.action,
    user: envelope.user ?? null,
    subAddress: envelope.subAddress ?? null,
    exec: envelope.exec ?? null,
    internal: envelope.internal,
    suspended: envelope.suspended,
    origin: {
      address: origin.address,
      hostname: origin.hostname,
      helo: origin.helo,
      smtpname: origin.smtpname,
      tag: origin.tag,
      username: origin.username,
      authenticated: origin.authenticated,
    },
    dsn: {
      notify: Object.entries(NOTIFY).flatMap(([word, bit]) => (dsn.notify & bit) === 0 ? [] : [word.toLowerCase()]),
      ret: dsn.ret,
      envid: dsn.envid,
      orcpt: dsn.orcpt,
    },
    createdAt: time(envelope.createdAt),
    expiresAt: time(envelope.expiresAt),
    lastTryAt: time(envelope.lastTryAt),
    lastBounceAt: time(envelope.lastBounceAt),
    tries: envelope.tries,
    ...errorOf(envelope, classOf),
    status: status === null ? null : `${status.class}.${status.code}`,
    remote: envelope.remote || null,
    smtpUtf8: envelope.handling?.smtpUtf8 ?? false,
    requireTls: envelope.handling?.requireTls ?? false,
    tlsOptional: envelope.handling?.tlsOptional ?? false,
    mailAuth: envelope.mailAuth === undefined ? null : { ...envelope.mailAuth },
    bounce: bounce === undefined ? null : { kind: bounce.kind, text: bounce.text },
  };
}

function identityOf(envelope: Envelope): JsonRecord {
  return {
    envelope: envelope.id,
    message: messageOf(envelope.id),
    agent: envelope.agent,
    sender: address(envelope.sender),
    rcpt: address(envelope.rcpt),
    dest: address(envelope.dest),
  };
}

/** Of `show stats`. */
export function statsRecord(statistics: readonly Statistic[], uptimeSeconds: number): JsonRecord {
  return {
    uptimeSeconds: Math.floor(uptimeSeconds),
    stats: Object.fromEntries(statistics.map(({ key, value }) => [key, value])),
  };
}

/** Of `show status`. */
export function statusRecord(
  paused: Readonly<Record<"mda" | "mta" | "smtp", boolean>>,
  { problems, history, configuration, processes }: {
    readonly problems: readonly string[];
    readonly history: JsonRecord | null;
    readonly configuration: ConfigurationState | null;
    readonly processes: readonly ProcessWalls[] | null;
  },
): JsonRecord {
  const state = (what: keyof typeof paused) => paused[what] ? "paused" : "running";
  return {
    mda: state("mda"),
    mta: state("mta"),
    smtp: state("smtp"),
    problems: problems.map((line) => line.replace(/^QUEUE /, "")),
    history,
    configuration: configuration === null ? null : {
      file: configuration.file,
      readAt: time(configuration.readAt),
      generation: configuration.generation,
      olderGenerations: configuration.olderGenerations,
      olderSessions: configuration.olderSessions,
    },
    processes: processes === null ? null : processes.map(({ process, pid, stands, says, missing, isolates }) => ({
      process,
      pid,
      stands,
      says,
      missing,
      isolates,
    })),
  };
}

/** Of `show certificates`. */
export function certificateRecord(
  { name, source, notAfter, names, issuer, failures, retryAt }: CertificateEntry,
): JsonRecord {
  return {
    name,
    source,
    notAfter: time(notAfter),
    names,
    issuer,
    failures,
    retryAt: retryAt === null ? null : time(retryAt),
  };
}

/** The same as a line. */
export function describeCertificate(
  { name, source, notAfter, names, issuer, failures, retryAt }: CertificateEntry,
): string {
  const date = (at: number | null) => at === null ? "-" : new Date(at).toISOString();
  return [name, source, date(notAfter), names.join(","), issuer, failures, date(retryAt)].join("|");
}

/** Of `admin tokens`. */
export function tokenRecord({ name, scope, createdAt, expiresAt, usedAt }: AdminToken, now: number): JsonRecord {
  return {
    name,
    scope,
    createdAt: time(createdAt),
    expiresAt: time(expiresAt),
    lastUsedAt: time(usedAt),
    expired: expiresAt !== null && expiresAt <= now,
  };
}

/** The line of `admin tokens`: `name|scope|created|expires|last use`. */
export function describeToken({ name, scope, createdAt, expiresAt, usedAt }: AdminToken, now: number): string {
  const date = (ms: number | null, none: string) => ms === null ? none : new Date(ms).toISOString();
  const expires = expiresAt !== null && expiresAt <= now ? "expired" : date(expiresAt, "never expires");
  return [name, scope, date(createdAt, ""), expires, date(usedAt, "never used")].join("|");
}

/** Of `show damaged`. */
export function damagedRecord({ id, foundAt, reason }: DamagedEntry): JsonRecord {
  return { id, foundAt: time(foundAt), reason };
}

/** Of `dkim check`. */
export function dkimRecord({ domain, selector, use, state, ok, text }: DkimKeyState): JsonRecord {
  return { domain, selector, use, state, ok, text };
}

/** Of `show hosts`, `routes`, `relays` and `hoststats`. */
export function relayRecords(answer: Extract<RelayToControl, { type: "records" }>): JsonRecord[] {
  const { hosts = [], routes = [], relays = [], hoststats = [] } = answer;
  return [
    ...hosts.map(({ address, name, references, connections, transactionMs, failureClass, failure, ...times }) => {
      const [lastConnectAt, failedAt] = [time(times.lastConnectAt), time(times.failedAt)];
      return { address, name, references, connections, lastConnectAt, transactionMs, failedAt, failureClass, failure };
    }),
    ...routes.map(({ route, source, host, isNew, disabled, connections, errors, penalty, enabledAt, ...block }) => {
      const until = { enabledAt: time(enabledAt) }, { blocks, blockReply } = block;
      return { route, source, host, isNew, disabled, connections, errors, penalty, ...until, blocks, blockReply };
    }),
    ...relays.map(({ relay, source, tasks, connections, lastConnectAt, retryAt, waitsForMx }) => {
      const times = { lastConnectAt: time(lastConnectAt), retryAt: time(retryAt) };
      return { relay, source, tasks, connections, ...times, waitsForMx };
    }),
    ...hoststats.map(({ domain, at, status }) => ({ domain, at: time(at), status })),
  ];
}

/** Of a lane, with how it stands as a sentence. */
export function laneRecord({ oldestAt, ...lane }: LaneRecord, reason: string): JsonRecord {
  return { ...lane, oldestAt: time(oldestAt), reason };
}

/** Of a look of `top`. */
export function topRecord(sample: TopSample): JsonRecord {
  const { rates, oldestAt, lanes, hosts, at, ...numbers } = sample;
  return {
    at: time(at),
    ...numbers,
    oldestAt: time(oldestAt),
    rates: rates === null ? null : { ...rates },
    lanes: lanes.map(({ agent, action, name, envelopes, inflight, oldestAt }) => {
      return { agent, action, name, envelopes, inflight, oldestAt: time(oldestAt) };
    }),
    hosts: hosts.map(({ address, name, connections, transactionMs }) => ({
      address,
      name,
      connections,
      transactionMs,
    })),
  };
}

/** RFC 3339; null for never. */
function time(ms: number | null): JsonValue {
  // What a Date can hold.
  return ms === null || ms <= 0 || ms > 8.64e15 ? null : new Date(ms).toISOString();
}

/** Null for the null sender. */
function address(path: ReversePath): JsonValue {
  return path === null ? null : formatMailbox(path);
}
