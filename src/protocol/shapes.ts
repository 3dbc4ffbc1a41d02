/** Checks of what several doors speak of: ids, mailboxes, envelopes and what became of them. Shape and bounds only; the meaning of texts is checked by the receiver. */

import {
  type Acceptance,
  type Agent,
  type Deliverable,
  DMARC_POLICIES,
  type DsnContent,
  type DsnParameters,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeCursor,
  type EnvelopeId,
  type EnvelopeState,
  type Handling,
  isEnvelopeId,
  isMessageId,
  isSessionId,
  MAIL_AUTH_RESULTS,
  type MailAuth,
  type Mailbox,
  type MessageId,
  type Origin,
  type Outcome,
  type ReversePath,
  type Status,
} from "../envelope/mod.ts";
import {
  type Check,
  either,
  type Fields,
  finite,
  flag,
  MAX_LONG_TEXT_CHARS,
  nullOr,
  oneOf,
  optional,
  passing,
  record,
  tagged,
  text,
  whole,
} from "./check.ts";

export const messageId: Check<MessageId> = passing(isMessageId, "an id of a message");
export const envelopeId: Check<EnvelopeId> = passing(isEnvelopeId, "an id of an envelope");
/** A place in the order of envelopes; "" is before all of them. */
export const cursor: Check<EnvelopeCursor> = either(oneOf(""), envelopeId);
/** 16 hex digits, which name a session of SMTP or a question of it to a filter. */
export const sessionId: Check<string> = passing(isSessionId, "an id of a session");
/** The number of a question, and of its answer. */
export const call: Check<number> = whole();
export const longText: Check<string> = text(MAX_LONG_TEXT_CHARS);

const word = text();
/** Hexadecimal digits of a MAC. */
const MAC_DIGITS = 64;
const yes = oneOf(true);
export const mailbox: Check<Mailbox> = record<Mailbox>({ local: word, domain: word });
export const reversePath: Check<ReversePath> = nullOr(mailbox);
export const origin: Check<Origin> = record<Origin>({
  address: word,
  hostname: word,
  hostnameUnsure: optional(yes),
  helo: word,
  smtpname: word,
  tag: word,
  username: word,
  authenticated: flag,
});
export const agent: Check<Agent> = oneOf("mda", "mta", "bounce");
const dsn: Check<DsnParameters> = record<DsnParameters>({
  notify: whole({ least: 0, most: 15 }),
  ret: oneOf("FULL", "HDRS", ""),
  envid: word,
  orcpt: word,
});
export const status: Check<Status> = record<Status>({ class: oneOf(2, 4, 5), code: word });
export const handling: Check<Handling> = record<Handling>({
  smtpUtf8: optional(yes),
  utf8Header: optional(yes),
  requireTls: optional(yes),
  tlsOptional: optional(yes),
});
export const mailAuth: Check<MailAuth> = record<MailAuth>({
  spf: oneOf(...MAIL_AUTH_RESULTS.spf),
  dkim: oneOf(...MAIL_AUTH_RESULTS.dkim),
  arc: oneOf(...MAIL_AUTH_RESULTS.arc),
  dmarc: oneOf(...MAIL_AUTH_RESULTS.dmarc),
  policy: optional(oneOf(...DMARC_POLICIES)),
});
export const dsnKind: Check<DsnContent["kind"]> = oneOf("failed", "delayed", "delivered", "relayed");
const dsnContent: Check<DsnContent> = record<DsnContent>({
  kind: dsnKind,
  text: longText,
  status,
  remote: optional(word),
  expired: optional(yes),
  delaySeconds: optional(finite),
  ttlSeconds: finite,
});

/** As src/mac makes it. */
export const mac: Check<string> = text(MAC_DIGITS);
const CONTENT: Fields<EnvelopeContent> = {
  id: envelopeId,
  sender: reversePath,
  rcpt: mailbox,
  dest: mailbox,
  origin,
  dsn,
  action: word,
  agent,
  internal: flag,
  createdAt: finite,
  user: optional(word),
  subAddress: optional(word),
  exec: optional(word),
  mac: optional(mac),
  bounce: optional(dsnContent),
  handling: optional(handling),
  mailAuth: optional(mailAuth),
};
const STATE: Fields<EnvelopeState> = {
  tries: whole(),
  lastTryAt: finite,
  lastBounceAt: finite,
  errorLine: longText,
  status: nullOr(status),
  remote: optional(word),
  suspended: flag,
};

export const acceptance: Check<Acceptance> = record<Acceptance>({ isolate: whole(), life: whole(), number: whole() });
const ACCEPTED = { accepted: optional(acceptance) };
export const envelopeContent: Check<EnvelopeContent> = record<EnvelopeContent>(CONTENT);
export const envelope: Check<Envelope> = record<Envelope>({ ...CONTENT, ...STATE, ...ACCEPTED });
/** An envelope of a listing. */
export const listedEnvelope: Check<Envelope & { readonly expiresAt: number }> = record<
  Envelope & { readonly expiresAt: number }
>({ ...CONTENT, ...STATE, ...ACCEPTED, expiresAt: finite });

const oncePer = optional(oneOf("sub-address", "address", "spelling"));
export const deliverable: Check<Deliverable> = tagged<Deliverable, "agent">("agent", {
  mda: { action: word, dest: mailbox, user: word, subAddress: word, exec: word, mac: optional(mac), oncePer },
  mta: { action: word, dest: mailbox, mac: optional(mac) },
});

const FAILED = { text: longText, status, remote: optional(word) };
export const outcome: Check<Outcome> = tagged<Outcome, "result">("result", {
  ok: { text: longText, dsnRelayed: optional(flag) },
  tempfail: FAILED,
  permfail: FAILED,
  loop: FAILED,
});

/** An account of the system. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}
export const account: Check<Account> = record<Account>({
  name: word,
  uid: whole({ least: 0, most: 0xffff_fffe }),
  gid: whole({ least: 0, most: 0xffff_fffe }),
  home: word,
});
