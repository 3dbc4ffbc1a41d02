/** Checks of what events carry for the history: see src/events/detail.ts. */

import {
  type AcceptedEnvelope,
  type AttemptDetail,
  type ConnectionDetail,
  type DialogueEvent,
  type DialogueLine,
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
import { type Check, type Fields, finite, flag, list, nullOr, oneOf, optional, record, text, whole } from "./check.ts";
import { routed } from "./routed.ts";
import { agent, envelopeId, handling, mailbox, messageId, origin, reversePath, sessionId, status } from "./shapes.ts";

const word = text();
export const connectionDetail: Check<ConnectionDetail> = record<ConnectionDetail>({
  confirmed: oneOf("pass", "fail", "error", "temporary"),
  listener: word,
  tag: word,
});

const filterNote: Check<FilterNote> = record<FilterNote>({
  filter: word,
  kind: oneOf("builtin", "program"),
  phase: word,
  decision: oneOf("proceed", "junk", "report", "rewrite", "reject", "disconnect"),
  text: optional(word),
});

export const acceptedEnvelopes: Check<readonly AcceptedEnvelope[]> = list(
  record<AcceptedEnvelope>({
    id: envelopeId,
    rcpt: mailbox,
    dest: mailbox,
    agent,
    action: word,
    user: optional(word),
  }),
  MAX_LISTED_PARTS,
);

export const messageDetail: Check<MessageDetail> = record<MessageDetail>({
  origin,
  ciphers: nullOr(word),
  sender: reversePath,
  messageId: word,
  eightBit: flag,
  handling: optional(handling),
  begunAt: finite,
  durableAt: finite,
  envelopes: acceptedEnvelopes,
  suppressed: list(record<SuppressedCopy>({ rcpt: mailbox, dest: mailbox, by: envelopeId }), MAX_LISTED_PARTS),
  routed: list(routed, MAX_LISTED_TREES),
  filters: list(filterNote, MAX_FILTER_NOTES),
  more: whole(),
});

export const refusalDetail: Check<RefusalDetail> = record<RefusalDetail>({
  ref: text(64),
  origin: nullOr(origin),
  host: word,
  tag: word,
  ciphers: nullOr(word),
  sender: optional(reversePath),
  rcpts: list(word, MAX_REFUSED_RCPTS),
  routed: optional(routed),
  filter: optional(filterNote),
});

export const attemptDetail: Check<AttemptDetail> = record<AttemptDetail>({
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
});

/** The fields of a dialogue. */
export const dialogue: Fields<DialogueEvent, "type"> = {
  session: sessionId,
  side: oneOf("in", "out"),
  message: optional(messageId),
  lines: list(
    record<DialogueLine>({ ms: finite, from: oneOf("client", "server"), text: text(MAX_DIALOGUE_LINE_CHARS) }),
    MAX_DIALOGUE_LINES,
  ),
  before: whole(),
};
