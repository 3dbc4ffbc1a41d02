/**
 * Which events each role may report, and what they look like: the one table from which the types of the event doors, their list and the checks
 * at control follow. An event of another isolate is refused like one of a wrong shape.
 */

import {
  type Event,
  type HistogramReporter,
  histogramsFrom,
  type LogLevel,
  MAX_LISTED_PARTS,
  type MetricReporter,
  metricsFrom,
  type TextEvent,
  type Trace,
  TRACES,
} from "../events/mod.ts";
import { REPLY_CLASSES } from "../reply_class/mod.ts";
import { type Check, type Fields, finite, flag, list, type Of, oneOf, optional, text, whole } from "./check.ts";
import type { Door } from "./door.ts";
import { acceptedEnvelopes, dialogue, packedDetail } from "./event_details.ts";
import { routed } from "./routed.ts";
import {
  acceptance,
  dsnKind,
  envelopeId,
  longText,
  mailAuth,
  mailbox,
  messageId,
  reversePath,
  sessionId,
  status,
} from "./shapes.ts";

/** Buckets of a distribution at most. */
const MAX_BUCKETS = 64;

type EventFields<T extends Event["type"]> = Fields<Of<Event, "type", T>, "type">;

const level: Check<LogLevel> = oneOf("debug", "info", "warn", "crit");
const trace: Check<Trace> = oneOf(...TRACES);

/** Lines of text: every role has some. */
const TEXTS: { readonly [T in TextEvent["type"]]: EventFields<T> } = {
  log: { level, text: longText },
  trace: { trace, text: longText },
};

/** A change of one of the counters that `reporter` has in the table of metrics. */
function counters(reporter: MetricReporter): { readonly count: EventFields<"count"> } {
  return { count: { key: ownKey(metricsFrom(reporter, "counter")), by: finite } };
}

/** A change of one of its gauges. */
function gauges(reporter: MetricReporter): { readonly gauge: EventFields<"gauge"> } {
  return { gauge: { key: ownKey(metricsFrom(reporter, "gauge")), to: finite } };
}

/** What was counted of one of its distributions. */
function histograms(reporter: HistogramReporter): { readonly histogram: EventFields<"histogram"> } {
  return {
    histogram: { key: ownKey(histogramsFrom(reporter)), counts: list(whole(), MAX_BUCKETS), sum: finite },
  };
}

function ownKey<Key extends string>(keys: readonly Key[]): Check<Key> {
  return (value) => keys.includes(value as Key) ? null : "is a statistic of somebody else";
}

/** Said by control; what an isolate says of it is replaced. */
const replyClass = optional(oneOf(...REPLY_CLASSES));

/** An attempt of one kind of delivery. */
function attempt<Agent extends "mda" | "mta">(agent: Agent): EventFields<"delivery"> {
  return {
    agent: oneOf(agent),
    session: sessionId,
    envelope: envelopeId,
    from: reversePath,
    to: mailbox,
    rcpt: mailbox,
    delayMs: finite,
    outcome: oneOf("ok", "tempfail", "permfail", "loop"),
    stat: longText,
    source: optional(text()),
    relay: optional(text()),
    user: optional(text()),
    accepted: optional(acceptance),
    replyClass,
    detail: packedDetail,
  };
}

const GONE: EventFields<"queue-expire"> = {
  agent: oneOf("mta", "mda", "bounce"),
  envelope: envelopeId,
  from: reversePath,
  to: mailbox,
  rcpt: mailbox,
  delayMs: finite,
  stat: longText,
};

/** Signatures of one message at most. */
const MAX_SIGNATURES = 64;
const SIGNED: EventFields<"queue-signed"> = {
  message: messageId,
  domain: text(),
  selectors: list(text(), MAX_SIGNATURES),
};
const UNSIGNED: EventFields<"queue-unsigned"> = { message: messageId, deferred: flag, reason: longText };

export const EVENTS = {
  smtp: {
    ...TEXTS,
    ...histograms("smtp"),
    "smtp-connected": {
      session: sessionId,
      address: text(),
      host: text(),
      family: oneOf("inet4", "inet6", "local"),
      smtps: flag,
      detail: packedDetail,
    },
    "smtp-tls": { session: sessionId, ciphers: text() },
    "smtp-cert-check": { session: sessionId, result: oneOf("verified", "unchecked"), fingerprint: text() },
    "smtp-authentication": {
      session: sessionId,
      user: text(),
      result: oneOf("ok", "permfail", "tempfail"),
      mechanism: optional(text(32)),
    },
    "smtp-message": {
      session: sessionId,
      message: messageId,
      bytes: whole(),
      rcpts: whole(),
      proto: oneOf("ESMTP", "SMTP"),
      mailAuth: optional(mailAuth),
      detail: packedDetail,
    },
    "smtp-committed": { number: whole() },
    "smtp-signed": { session: sessionId, ...SIGNED },
    "smtp-unsigned": { session: sessionId, ...UNSIGNED },
    "smtp-envelope": { session: sessionId, envelope: envelopeId, from: reversePath, to: mailbox },
    "smtp-failed-command": {
      session: sessionId,
      command: longText,
      reply: longText,
      address: text(),
      mailAuth: optional(mailAuth),
      replyClass,
      detail: packedDetail,
    },
    "smtp-bad-input": {
      session: sessionId,
      reply: longText,
      address: text(),
      replyClass,
      detail: packedDetail,
    },
    "smtp-disconnected": {
      session: sessionId,
      reason: longText,
      address: optional(text()),
      tls: flag,
      smtps: flag,
      local: flag,
    },
    dialogue,
  },
  lookup: TEXTS,
  queue: {
    ...TEXTS,
    ...counters("queue"),
    ...gauges("queue"),
    "queue-expire": GONE,
    "queue-remove": GONE,
    "queue-signed": SIGNED,
    "queue-unsigned": UNSIGNED,
    "queue-message": {
      message: messageId,
      how: oneOf("import", "report"),
      from: reversePath,
      bytes: whole(),
      envelopes: acceptedEnvelopes,
      more: whole(),
    },
    "queue-dsn-asked": { envelope: envelopeId, request: envelopeId, kind: dsnKind, rcpt: mailbox, status },
    "queue-dsn-written": {
      message: messageId,
      requests: list(envelopeId, MAX_LISTED_PARTS),
      kind: dsnKind,
      rcpts: list(mailbox, MAX_LISTED_PARTS),
      dsn: messageId,
      to: mailbox,
      bytes: whole(),
      envelopes: acceptedEnvelopes,
      routed: optional(routed),
    },
    "queue-dsn-dropped": { envelope: envelopeId, reason: longText },
  },
  scheduler: { ...TEXTS, ...counters("scheduler"), ...gauges("scheduler") },
  relay: {
    ...TEXTS,
    ...gauges("relay"),
    "relay-connecting": { session: sessionId, address: text(), host: text() },
    "relay-connected": { session: sessionId },
    "relay-tls": { session: sessionId, ciphers: text() },
    "relay-cert-check": { session: sessionId, result: oneOf("valid", "unverified"), fingerprint: text() },
    "relay-error": { session: sessionId, reason: longText },
    "relay-disconnected": { session: sessionId, reason: longText, messages: whole() },
    delivery: attempt("mta"),
    dialogue,
  },
  delivery: { ...TEXTS, ...gauges("delivery"), delivery: attempt("mda"), dialogue },
  privileged: { ...TEXTS, ...gauges("delivery"), delivery: attempt("mda") },
  filter: TEXTS,
  login: TEXTS,
  signer: TEXTS,
  acme: { ...TEXTS, ...counters("acme"), ...gauges("acme") },
  history: { ...TEXTS, ...gauges("history") },
} as const satisfies Readonly<Record<string, { readonly [T in Event["type"]]?: EventFields<T> }>>;

/** Roles that report to control. */
export type Reporter = keyof typeof EVENTS;
/** What a role may report. */
export type EventOf<R extends Reporter> = Of<Event, "type", keyof typeof EVENTS[R]>;

/** What control reports itself, at no door. */
type OfControl = "admin-act";
/** Every event has a role: one that stands in no row does not compile. */
type Reported = OfControl | { [R in Reporter]: keyof typeof EVENTS[R] }[Reporter];
export type NobodysEvent = Exclude<Event["type"], Reported>;
const complete: [NobodysEvent] extends [never] ? true : never = true;
void complete;

export const REPORTERS = Object.keys(EVENTS) as readonly Reporter[];

/** Events flow one way, into control, which keeps the log and the counters. */
export type EventDoors = { readonly [R in Reporter as `${R}-control`]: Door<EventOf<R>, never> };
export const EVENT_DOORS = Object.fromEntries(
  REPORTERS.map((role) => [`${role}-control`, { asks: EVENTS[role], answers: {}, replies: {} }]),
) as unknown as EventDoors;

/** What lines of text begin with that belong to one role, or to two that do one work. */
const OWNERS: readonly (readonly [RegExp, readonly Reporter[]])[] = [
  [/^[0-9a-f]{16} mta /, ["relay"]],
  [/^[0-9a-f]{16} smtp /, ["smtp"]],
  [/^[0-9a-f]{16} mda /, []],
  [/^(?:relay|delivery|bounce): (?:Expire|Remove) /, []],
  [/^smtp: /, ["smtp"]],
  [/^(?:smtp-out|relay|mta): /, ["relay"]],
  [/^(?:mda|delivery|privileged): /, ["delivery", "privileged"]],
  [/^queue: /, ["queue"]],
  [/^scheduler: /, ["scheduler"]],
  [/^filters?: /, ["filter"]],
  [/^lookup: /, ["lookup"]],
  [/^signer: /, ["signer"]],
  [/^acme: /, ["acme"]],
  [/^history: /, ["history"]],
  [/^(?:control|admin|isolate)[: ]/, []],
];
/** Roles that meet strangers: a line of theirs that does not say so begins with their name. */
const EXPOSED: readonly Reporter[] = ["smtp", "relay", "delivery", "privileged", "login", "acme"];

/** The event with a text that cannot be taken for a line of another role: where it could, the name of its sender stands in front. */
export function attributed(role: Reporter, event: Event): Event {
  if (event.type === "trace") {
    return event.text.startsWith(`${event.trace}: `) ? event : { ...event, text: `${event.trace}: ${event.text}` };
  }
  if (event.type !== "log") return event;
  const body = event.text.startsWith(`${event.level}: `) ? event.text.slice(event.level.length + 2) : event.text;
  const owners = OWNERS.find(([pattern]) => pattern.test(body))?.[1];
  // A debug line says so itself.
  const credible = event.level === "debug" || (owners === undefined ? !EXPOSED.includes(role) : owners.includes(role));
  if (credible) return event;
  const prefix = event.text === body ? "" : `${event.level}: `;
  return { ...event, text: `${prefix}${role}: ${body}` };
}
