/** Checks envelopes that come from the isolate that talks to the public, or from files, and copies what is known of them and nothing else. Pure. */

import {
  copyMailAuth,
  type DsnContent,
  type DsnParameters,
  type Envelope,
  type EnvelopeContent,
  envelopeNumber,
  type EnvelopeState,
  type Handling,
  isEnvelopeId,
  isEnvelopeOf,
  type Mailbox,
  type MessageId,
  type Origin,
  type Status,
} from "../envelope/mod.ts";
import { MAX_MESSAGE_ENVELOPES } from "../protocol/smtp_queue.ts";

/** Longest text of any field. Addresses, names and DSN parameters are shorter by their own limits. */
const MAX_TEXT_CHARS = 4096;

/** A copy of a sound envelope of this message; null when it is not sound. */
export function copyContent(message: MessageId, content: EnvelopeContent): EnvelopeContent | null {
  const sound = typeof content === "object" && content !== null &&
    isEnvelopeId(content.id) && isEnvelopeOf(message, content.id) && envelopeNumber(content.id) !== 0 &&
    // Only the queue asks for DSNs.
    (content.agent === "mda" || content.agent === "mta") && areCommon(content);
  if (!sound) return null;
  const common = copyCommon(content);
  if (content.agent === "mta") return common;
  const { user, subAddress = "", exec = "" } = content;
  if (!isText(user) || !isText(subAddress) || !isText(exec)) return null;
  return { ...common, user, subAddress, exec };
}

/** Returns copies of the sound envelopes of a message; null when one is not sound, or there are none or too many. */
export function copyEnvelopes(id: MessageId, envelopes: readonly EnvelopeContent[]): EnvelopeContent[] | null {
  if (!Array.isArray(envelopes) || envelopes.length === 0 || envelopes.length > MAX_MESSAGE_ENVELOPES) return null;
  const copies: EnvelopeContent[] = [];
  const seen = new Set<string>();
  for (const envelope of envelopes) {
    const copy = copyContent(id, envelope);
    if (copy === null || seen.has(copy.id)) return null;
    seen.add(copy.id);
    copies.push(copy);
  }
  return copies;
}

/** A copy of a valid envelope that was read from a file; null when it is not valid. Whoever may lay files there may name commands. */
export function copyEnvelope(envelope: Envelope): Envelope | null {
  if (!areCommon(envelope) || !isState(envelope)) return null;
  const { agent, user, subAddress = "", exec = "", bounce } = envelope;
  const { tries, lastTryAt, lastBounceAt, errorLine, status, suspended } = envelope;
  const copy: Envelope = {
    ...copyCommon(envelope),
    tries,
    lastTryAt,
    lastBounceAt,
    errorLine,
    status: status === null ? null : { class: status.class, code: status.code },
    suspended,
  };
  switch (agent) {
    case "mta":
      return copy;
    case "mda":
      return isText(user) && isText(subAddress) && isText(exec) ? { ...copy, user, subAddress, exec } : null;
    case "bounce":
      return isDsnContent(bounce) ? { ...copy, bounce: copyDsnContent(bounce) } : null;
  }
  agent satisfies never;
  // A file may say anything.
  return null;
}

function areCommon(content: EnvelopeContent): boolean {
  return isWhen(content.createdAt) && isText(content.action) && typeof content.internal === "boolean" &&
    (content.sender === null || isMailbox(content.sender)) && isMailbox(content.rcpt) && isMailbox(content.dest) &&
    isOrigin(content.origin) && isDsn(content.dsn) && isHandling(content.handling) &&
    (content.mailAuth === undefined || copyMailAuth(content.mailAuth) !== null);
}

function copyCommon(content: EnvelopeContent): EnvelopeContent {
  const { id, sender, rcpt, dest, origin, dsn, action, agent, internal, createdAt, handling } = content;
  const mailAuth = copyMailAuth(content.mailAuth);
  return {
    id,
    sender: sender === null ? null : mailbox(sender),
    rcpt: mailbox(rcpt),
    dest: mailbox(dest),
    origin: copyOrigin(origin),
    dsn: { notify: dsn.notify, ret: dsn.ret, envid: dsn.envid, orcpt: dsn.orcpt },
    action,
    agent,
    internal,
    createdAt,
    ...(handling === undefined ? {} : { handling: copyHandling(handling) }),
    ...(mailAuth === null ? {} : { mailAuth }),
  };
}

/** An envelope that was never tried. */
export function freshEnvelope(content: EnvelopeContent): Envelope {
  return { ...content, tries: 0, lastTryAt: 0, lastBounceAt: 0, errorLine: "", status: null, suspended: false };
}

function isState(state: EnvelopeState): boolean {
  return isWhen(state.tries) && isWhen(state.lastTryAt) && isWhen(state.lastBounceAt) &&
    isReply(state.errorLine) && (state.status === null || isStatus(state.status)) &&
    typeof state.suspended === "boolean";
}

function isDsnContent(bounce: DsnContent | undefined): bounce is DsnContent {
  return typeof bounce === "object" && bounce !== null &&
    ["failed", "delayed", "delivered", "relayed"].includes(bounce.kind) && isReply(bounce.text) &&
    isStatus(bounce.status) && isText(bounce.remote ?? "") && isWhen(bounce.ttlSeconds) &&
    isWhen(bounce.delaySeconds ?? 0);
}

function copyDsnContent({ kind, text, status, remote, expired, delaySeconds, ttlSeconds }: DsnContent): DsnContent {
  return {
    kind,
    text,
    status: { class: status.class, code: status.code },
    ...(remote === undefined ? {} : { remote }),
    ...(expired === true ? { expired } : {}),
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
    ttlSeconds,
  };
}

function isStatus(status: Status): boolean {
  return typeof status === "object" && status !== null && [2, 4, 5].includes(status.class) &&
    typeof status.code === "string" && /^\d{1,3}\.\d{1,3}$/.test(status.code);
}

function isWhen(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** What another server said is made one line where it is shown. */
function isReply(value: unknown): boolean {
  return typeof value === "string" && value.length <= 16 * MAX_TEXT_CHARS;
}

function isText(value: unknown): value is string {
  // No control characters: these texts end up in headers, log lines and listings.
  // deno-lint-ignore no-control-regex
  return typeof value === "string" && value.length <= MAX_TEXT_CHARS && !/[\x00-\x08\x0a-\x1f\x7f]/.test(value);
}

function isMailbox(value: Mailbox): boolean {
  return typeof value === "object" && value !== null && isText(value.local) && isText(value.domain);
}

function mailbox({ local, domain }: Mailbox): Mailbox {
  return { local, domain };
}

function isOrigin(origin: Origin): boolean {
  return typeof origin === "object" && origin !== null && isText(origin.address) && isText(origin.hostname) &&
    isText(origin.helo) && isText(origin.smtpname) && isText(origin.tag) && isText(origin.username) &&
    typeof origin.authenticated === "boolean";
}

function copyOrigin({ address, hostname, helo, smtpname, tag, username, authenticated }: Origin): Origin {
  return { address, hostname, helo, smtpname, tag, username, authenticated };
}

function isDsn(dsn: DsnParameters): boolean {
  return typeof dsn === "object" && dsn !== null && Number.isInteger(dsn.notify) && dsn.notify >= 0 &&
    dsn.notify < 16 &&
    (dsn.ret === "" || dsn.ret === "FULL" || dsn.ret === "HDRS") && isText(dsn.envid) && isText(dsn.orcpt);
}

function isHandling(handling: Handling | undefined): boolean {
  return handling === undefined || (typeof handling === "object" && handling !== null);
}

function copyHandling({ smtpUtf8, utf8Header, requireTls, tlsOptional }: Handling): Handling {
  return {
    ...(smtpUtf8 === true ? { smtpUtf8 } : {}),
    ...(utf8Header === true ? { utf8Header } : {}),
    ...(requireTls === true ? { requireTls } : {}),
    ...(tlsOptional === true ? { tlsOptional } : {}),
  };
}
