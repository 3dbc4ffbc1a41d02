/**
 * What the story of a message needs beyond the lines of the log. Events carry it in their field `detail` while the history records, and nothing else
 * reads it: no line of the log has it. docs/events.md documents each field. Never the content of a message, never a secret. Types and bounds.
 */

import type { EnvelopeId, Handling, Mailbox, Origin, ReversePath, Routed, Status } from "../envelope/mod.ts";

/** Version of all events and their fields, as they are stored. A field that is added keeps it; one whose meaning changes, or that goes, raises it. */
export const EVENT_SCHEMA_VERSION = 1;

/** Of `smtp-connected`. */
export interface ConnectionDetail {
  /** Whether the client's name leads back to its address. */
  readonly confirmed: "pass" | "fail" | "error" | "temporary";
  /** `IP:PORT`, or the path of the socket. */
  readonly listener: string;
  /** Tag of the listener, "" for none. */
  readonly tag: string;
}

/** What a filter has decided in one phase of a session. */
export interface FilterNote {
  /** Name of the filter in smtpd.conf(5). */
  readonly filter: string;
  readonly kind: "builtin" | "program";
  /** As smtpd-filters(7) has it: `connect`, `mail-from`, `commit` … */
  readonly phase: string;
  readonly decision: "proceed" | "junk" | "report" | "rewrite" | "reject" | "disconnect";
  /** The reply or the report; a parameter that was put in the place of another, but for that of AUTH. */
  readonly text?: string;
}

/** Filter notes of one event at most; the first are left out. */
export const MAX_FILTER_NOTES = 64;

/** An envelope that came of a message. */
export interface AcceptedEnvelope {
  readonly id: EnvelopeId;
  /** What the client named. */
  readonly rcpt: Mailbox;
  /** What the rules made of it. */
  readonly dest: Mailbox;
  readonly agent: "mda" | "mta" | "bounce";
  readonly action: string;
  /** Of a local delivery: the account. */
  readonly user?: string;
}

/** A delivery that was left out, because another one brings the message to the same mailbox. */
export interface SuppressedCopy {
  readonly rcpt: Mailbox;
  readonly dest: Mailbox;
  /** The envelope that serves both. */
  readonly by: EnvelopeId;
}

/** Envelopes, recipients and suppressed copies that one event names at most. */
export const MAX_LISTED_PARTS = 1_000;
/** Trees of recipients in one event at most. */
export const MAX_LISTED_TREES = 100;

/** Of `smtp-message`: all that was decided about a message until it was on stable storage. */
export interface MessageDetail {
  readonly origin: Origin;
  /** `VERSION:CIPHER:BITS`, null in clear. */
  readonly ciphers: string | null;
  readonly sender: ReversePath;
  /** The message's own Message-ID, "" where it has none. */
  readonly messageId: string;
  /** The message was announced or found to be: BODY=8BITMIME, and what it asks of other servers. */
  readonly eightBit: boolean;
  readonly handling?: Handling;
  /** When its data began, and when the queue had it on stable storage, in milliseconds since the epoch. */
  readonly begunAt: number;
  readonly durableAt: number;
  readonly envelopes: readonly AcceptedEnvelope[];
  readonly suppressed: readonly SuppressedCopy[];
  /** One tree per recipient, in the order of RCPT. */
  readonly routed: readonly Routed[];
  readonly filters: readonly FilterNote[];
  /** Envelopes, suppressed copies and trees that are left out. */
  readonly more: number;
}

/** Of `smtp-failed-command` and `smtp-bad-input`: one refusal, and what the session knew then. */
export interface RefusalDetail {
  /** `SESSION-N`: the N-th refusal of the session. By the option `refs` it is a part of the reply. */
  readonly ref: string;
  /** Null before HELO. */
  readonly origin: Origin | null;
  /** Name of the client's address, `<unknown>` for none. */
  readonly host: string;
  /** Tag of the listener, "" for none. */
  readonly tag: string;
  /** `VERSION:CIPHER:BITS`, null in clear. */
  readonly ciphers: string | null;
  /** Of the transaction. Absent outside of one. */
  readonly sender?: ReversePath;
  /** Recipient that is refused, or those that were accepted of a transaction that is; the first ten. */
  readonly rcpts: readonly string[];
  /** Where the refused recipient leads. */
  readonly routed?: Routed;
  /** The filter that refuses. */
  readonly filter?: FilterNote;
}

/** Recipients that a refusal names at most. */
export const MAX_REFUSED_RCPTS = 10;

/** Of `delivery`: one attempt for one envelope. */
export interface AttemptDetail {
  /** The session whose dialogue it is, where `session` of the event is none. */
  readonly session?: string;
  /** What delivers it: `smtp`, `lmtp`, `mbox`, `maildir`, `file`, `command`; `none` where it did not come to that. */
  readonly method: string;
  /** Name of the host, or what the configuration calls it. */
  readonly host?: string;
  readonly address?: string;
  readonly port?: number;
  /** Local address. */
  readonly source?: string;
  /** Null in clear; absent where there was no connection. */
  readonly tls?: { readonly ciphers: string; readonly verified: boolean; readonly fingerprint: string } | null;
  /** Code of the host's reply; absent where it sent none. */
  readonly code?: number;
  /** Enhanced status of the outcome. */
  readonly status?: Status;
  /** The last command that this recipient was in; `EOM`: the end of the data. */
  readonly stage?: "MAIL" | "RCPT" | "DATA" | "EOM";
  /** How long this attempt took, in milliseconds. */
  readonly durationMs?: number;
  /** Attempts for this envelope with this one. */
  readonly tries: number;
}

/** One line of a dialogue, without secrets and without mail. */
export interface DialogueLine {
  /** Milliseconds since the session began. */
  readonly ms: number;
  readonly from: "client" | "server";
  readonly text: string;
}

/** Lines of one dialogue, and characters of one line, at most. */
export const MAX_DIALOGUE_LINES = 64;
export const MAX_DIALOGUE_LINE_CHARS = 512;
