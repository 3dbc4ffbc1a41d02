/**
 * Identifiers: the one syntax of message, envelope and session ids, how they become the numbers of database rows and back, and how new ones are
 * drawn. The types are branded, so that no other text or number passes for an id, and none for another. Ids are made here alone, where one is
 * checked, read from its row or drawn; numbers of rows are made here, by the database, and by the scheduler's table.
 */

declare const kind: unique symbol;

/** The id of a message: 8 lower-case hex digits, not all zero. */
export type MessageId = string & { readonly [kind]: "message" };
/** The id of an envelope: its message's 8 digits, then 8 of its own. An own half of zero is well-formed, but no envelope gets one. */
export type EnvelopeId = string & { readonly [kind]: "envelope" };
/** A place in the order of envelope ids: the listing goes on behind it; "" is before all of them. */
export type EnvelopeCursor = EnvelopeId | "";

/** A message id as a number, 1 … 2³²−1: the row of the message. */
export type MessageNumber = number & { readonly [kind]: "message" };
/** An envelope's own half of its id as a number, 1 … 2³²−1; 0 stands for all envelopes of the message, or is before the first of them. */
export type EnvelopeNumber = number & { readonly [kind]: "envelope" };

/** An envelope id as two numbers: the row of the envelope. */
export interface EnvelopeRow {
  readonly message: MessageNumber;
  readonly envelope: EnvelopeNumber;
}

const MESSAGE_DIGITS = 8, ENVELOPE_DIGITS = 16, SESSION_DIGITS = 16;
const NO_MESSAGE = "00000000";
/** No envelope id is greater. */
export const LAST_ENVELOPE_ID = "f".repeat(ENVELOPE_DIGITS) as EnvelopeId;

/** Returns true when `value` is a text of exactly `digits` lower-case hex digits. Takes anything: ids come from other isolates and files. */
function isHex(value: unknown, digits: number): value is string {
  if (typeof value !== "string" || value.length !== digits) return false;
  for (let at = 0; at < digits; at++) {
    const code = value.charCodeAt(at);
    const isDigit = code >= 0x30 && code <= 0x39, isLetter = code >= 0x61 && code <= 0x66;
    if (!isDigit && !isLetter) return false;
  }
  return true;
}

/** Returns true when `value` is the id of a message: 8 lower-case hex digits, not all zero. Takes anything; never throws. */
export function isMessageId(value: unknown): value is MessageId {
  return isHex(value, MESSAGE_DIGITS) && value !== NO_MESSAGE;
}

/** Returns true when `value` is the id of an envelope: 16 lower-case hex digits, the first 8 not all zero. Takes anything; never throws. */
export function isEnvelopeId(value: unknown): value is EnvelopeId {
  return isHex(value, ENVELOPE_DIGITS) && !value.startsWith(NO_MESSAGE);
}

/** Returns true when `value` names a session of SMTP, or a question of one: 16 lower-case hex digits. Takes anything; never throws. */
export function isSessionId(value: unknown): value is string {
  return isHex(value, SESSION_DIGITS);
}

/** Returns the message id that a person typed, whatever its case; null when it is none. */
export function parseMessageId(text: string): MessageId | null {
  const id = text.toLowerCase();
  return isMessageId(id) ? id : null;
}

/** Returns the envelope id that a person typed, whatever its case; null when it is none. */
export function parseEnvelopeId(text: string): EnvelopeId | null {
  const id = text.toLowerCase();
  return isEnvelopeId(id) ? id : null;
}

/** Returns the message that an envelope belongs to. */
export function messageOf(id: EnvelopeId): MessageId {
  return id.slice(0, MESSAGE_DIGITS) as MessageId;
}

/** Returns true when the envelope is one of this message. */
export function isEnvelopeOf(message: MessageId, id: EnvelopeId): boolean {
  return id.startsWith(message);
}

/** Returns the number of a message, or that of an envelope's message. */
export function messageNumber(id: MessageId | EnvelopeId): MessageNumber {
  return parseInt(id.slice(0, MESSAGE_DIGITS), 16) as MessageNumber;
}

/** Returns the number of an envelope's own half of its id. */
export function envelopeNumber(id: EnvelopeId): EnvelopeNumber {
  return parseInt(id.slice(MESSAGE_DIGITS), 16) as EnvelopeNumber;
}

/** Returns the row of an envelope. */
export function rowOf(id: EnvelopeId): EnvelopeRow {
  return { message: messageNumber(id), envelope: envelopeNumber(id) };
}

/** Returns the id of the message with this number. */
export function messageIdOf(number: MessageNumber): MessageId {
  return hex8(number) as MessageId;
}

/** Returns the id of the envelope in this row. */
export function envelopeIdOf({ message, envelope }: EnvelopeRow): EnvelopeId {
  return hex8(message) + hex8(envelope) as EnvelopeId;
}

const pool = new Uint32Array(1024);
let used = pool.length;

/** Returns a uniform random number in 1 … 2³²−1. */
export function random32(): number {
  for (;;) {
    if (used === pool.length) {
      crypto.getRandomValues(pool);
      used = 0;
    }
    const value = pool[used++]!;
    if (value !== 0) return value;
  }
}

/** Returns a number of 32 bits, read as unsigned, as 8 lower-case hex digits. */
export function hex8(value: number): string {
  return (value >>> 0).toString(16).padStart(8, "0");
}

/** Returns a random message id. Unique only by chance: the queue hands out its own, see src/queue/ids.ts. */
export function newMessageId(): MessageId {
  return hex8(random32()) as MessageId;
}

/** Returns a fresh envelope id of a message. Unique only by chance: the caller keeps those of one message apart. */
export function newEnvelopeId(message: MessageId): EnvelopeId {
  return message + hex8(random32()) as EnvelopeId;
}

/** Returns 16 random hex digits that name a session in the log. */
export function newSessionId(): string {
  return hex8(random32()) + hex8(random32());
}
