/** Checks of what events carry for the history: see src/events/detail.ts. */

import {
  type AcceptedEnvelope,
  type AttemptDetail,
  type ConnectionDetail,
  type DialogueEvent,
  type DialogueLine,
  type Event,
  type FilterNote,
  MAX_DIALOGUE_LINE_CHARS,
  MAX_DIALOGUE_LINES,
  MAX_FILTER_NOTES,
  MAX_LISTED_PARTS,
  MAX_LISTED_TREES,
  MAX_REFUSED_RCPTS,
  type MessageDetail,
  type RefusalDetail,
  type SuppressedCopy,
} from "../events/mod.ts";
import {
  type Check,
  type Fields,
  finite,
  flag,
  inside,
  list,
  nullOr,
  oneOf,
  optional,
  type OptionalCheck,
  record,
  text,
  whole,
} from "./check.ts";
import { routed, ROUTED_FIELDS, ROUTED_GOAL_FIELDS } from "./routed.ts";
import { agent, envelopeId, handling, mailbox, messageId, origin, reversePath, sessionId, status } from "./shapes.ts";

const word = text();
const CONNECTION_DETAIL: Fields<ConnectionDetail> = {
  confirmed: oneOf("pass", "fail", "error", "temporary"),
  listener: word,
  tag: word,
};
const connectionDetail: Check<ConnectionDetail> = record<ConnectionDetail>(CONNECTION_DETAIL);

const FILTER_NOTE: Fields<FilterNote> = {
  filter: word,
  kind: oneOf("builtin", "program"),
  phase: word,
  decision: oneOf("proceed", "junk", "report", "rewrite", "reject", "disconnect"),
  text: optional(word),
};
const filterNote: Check<FilterNote> = record<FilterNote>(FILTER_NOTE);

const ACCEPTED_ENVELOPE: Fields<AcceptedEnvelope> = {
  id: envelopeId,
  rcpt: mailbox,
  dest: mailbox,
  agent,
  action: word,
  user: optional(word),
};
export const acceptedEnvelopes: Check<readonly AcceptedEnvelope[]> = list(
  record<AcceptedEnvelope>(ACCEPTED_ENVELOPE),
  MAX_LISTED_PARTS,
);
const SUPPRESSED_COPY: Fields<SuppressedCopy> = { rcpt: mailbox, dest: mailbox, by: envelopeId };

const MESSAGE_DETAIL: Fields<MessageDetail> = {
  origin,
  ciphers: nullOr(word),
  sender: reversePath,
  messageId: word,
  eightBit: flag,
  handling: optional(handling),
  begunAt: finite,
  durableAt: finite,
  envelopes: acceptedEnvelopes,
  suppressed: list(record<SuppressedCopy>(SUPPRESSED_COPY), MAX_LISTED_PARTS),
  routed: list(routed, MAX_LISTED_TREES),
  filters: list(filterNote, MAX_FILTER_NOTES),
  more: whole(),
};
const messageDetail: Check<MessageDetail> = record<MessageDetail>(MESSAGE_DETAIL);

const REFUSAL_DETAIL: Fields<RefusalDetail> = {
  ref: text(64),
  origin: nullOr(origin),
  host: word,
  tag: word,
  ciphers: nullOr(word),
  sender: optional(reversePath),
  rcpts: list(word, MAX_REFUSED_RCPTS),
  routed: optional(routed),
  filter: optional(filterNote),
};
const refusalDetail: Check<RefusalDetail> = record<RefusalDetail>(REFUSAL_DETAIL);

const ATTEMPT_DETAIL: Fields<AttemptDetail> = {
  session: optional(sessionId),
  method: text(32),
  host: optional(word),
  address: optional(word),
  port: optional(whole({ least: 0, most: 65_535 })),
  source: optional(word),
  tls: optional(
    nullOr(record<NonNullable<AttemptDetail["tls"]>>({ ciphers: word, verified: flag, fingerprint: word })),
  ),
  code: optional(whole({ least: 200, most: 599 })),
  status: optional(status),
  stage: optional(oneOf("MAIL", "RCPT", "DATA", "EOM")),
  durationMs: optional(finite),
  tries: whole(),
};
const attemptDetail: Check<AttemptDetail> = record<AttemptDetail>(ATTEMPT_DETAIL);

const DIALOGUE_LINE: Fields<DialogueLine> = {
  ms: finite,
  from: oneOf("client", "server"),
  text: text(MAX_DIALOGUE_LINE_CHARS),
};
/** The fields of a dialogue. */
export const dialogue: Fields<DialogueEvent, "type"> = {
  session: sessionId,
  side: oneOf("in", "out"),
  message: optional(messageId),
  lines: list(record<DialogueLine>(DIALOGUE_LINE), MAX_DIALOGUE_LINES),
  before: whole(),
};

/** The fields of all of these, by the names of their types: docs/events.md documents each. */
export const DETAIL_FIELDS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  ConnectionDetail: CONNECTION_DETAIL,
  MessageDetail: MESSAGE_DETAIL,
  AcceptedEnvelope: ACCEPTED_ENVELOPE,
  SuppressedCopy: SUPPRESSED_COPY,
  FilterNote: FILTER_NOTE,
  RefusalDetail: REFUSAL_DETAIL,
  AttemptDetail: ATTEMPT_DETAIL,
  DialogueLine: DIALOGUE_LINE,
  Routed: { ...ROUTED_FIELDS, children: list(routed) },
  RoutedGoal: ROUTED_GOAL_FIELDS,
};

/** Characters of a detail at most: a message may have a thousand envelopes and a hundred trees. */
const MAX_DETAIL_CHARS = 8 * 1024 * 1024;
/** A detail as it travels: `packed` of src/events has written it. What is in it is looked at by `unpacked`, in the history: control passes it on. */
export const packedDetail: OptionalCheck<never> = optional(text(MAX_DETAIL_CHARS) as Check<unknown> as Check<never>);

const DETAILS: { readonly [T in Detailed["type"]]: Check<NonNullable<Extract<Detailed, { type: T }>["detail"]>> } = {
  "smtp-connected": connectionDetail,
  "smtp-message": messageDetail,
  "smtp-failed-command": refusalDetail,
  "smtp-bad-input": refusalDetail,
  delivery: attemptDetail,
};
type Detailed = Extract<Event, { readonly detail?: unknown }>;

/** Returns an event that came through its door, and the history's, with its detail as it was before it was sent; a text says what is wrong with that. */
export function unpacked<E extends Event>(event: E): E | string {
  const { detail, type } = event as { readonly detail?: unknown; readonly type: string };
  if (detail === undefined) return event;
  let value: unknown;
  try {
    value = JSON.parse(detail as string);
  } catch {
    return `${type}: detail is no JSON`;
  }
  return detailFault(type, value) ?? { ...event, detail: value };
}

/** Returns what is wrong with the detail of an event of this type; null when it is as it must be. */
export function detailFault(type: string, detail: unknown): string | null {
  if (!Object.hasOwn(DETAILS, type)) return `${type}: it has no detail`;
  const fault = DETAILS[type as Detailed["type"]](detail);
  return fault === null ? null : `${type}: ${inside("detail", fault)}`;
}
