/** What an SMTP session is made of: its state, what can happen to it and what it can ask for. Types only; see session.ts. */

import type { LimitsFor, ListenOptions } from "../../config/mod.ts";
import type { DsnParameters, MailAuth, Mailbox, MessageId, Origin, ReversePath, Routed } from "../../envelope/mod.ts";
import type { FilterNote, MessageDetail, SmtpEvent } from "../../events/mod.ts";
import type { AuthResult, Challenge, Confirmed, Expansion } from "../../protocol/mod.ts";
import type { ClientFirst } from "../../sasl/mod.ts";
import type { Command } from "./command.ts";
import type { Fault } from "../message/data.ts";

/** What does not change during a connection: the options of its listener, the limits of a session, and who is connected. */
export interface ConnectionFacts extends Omit<ListenOptions, "senders">, LimitsFor<"smtp", "smtp"> {
  /** 16 hex digits for the log. */
  readonly session: string;
  /** Banner name of the listener. */
  readonly hostname: string;
  /** As in Origin. */
  readonly address: string;
  /** Came through the local socket: counts as authenticated. */
  readonly socket: boolean;
  readonly dsn: boolean;
  /** What comes goes through filters, which know lines and no chunks: BDAT is not offered. */
  readonly filtered?: boolean;
  /** Users who have logged in may send only as this table allows. */
  readonly senders: string | null;
  /** The listener can be reached from this machine only. */
  readonly loopback: boolean;
  readonly maxMessageBytes: number;
  /** Size of the largest message that there is room for now, 0 for none; changes while the session lasts. */
  readonly room: { readonly bytes: number };
  /** The history records; absent where it does not. */
  readonly history?: HistoryFacts;
}

/** What the history is told of a connection, and whether refusals name the id by which it has them. */
export interface HistoryFacts {
  readonly refs: boolean;
  /** `IP:PORT` of the listener, or the path of its socket. */
  readonly listener: string;
}

/** A recipient that was accepted, with where it goes. A list from the last to the first, so that adding one copies nothing. */
export interface Accepted {
  readonly rcpt: Mailbox;
  readonly dsn: DsnParameters;
  readonly expansion: Extract<Expansion, { ok: true }>;
  readonly before: Accepted | null;
}

/** An RCPT whose answer cannot be given yet: it or one before it waits for lookup. */
export interface Pending {
  readonly slot: number;
  readonly rcpt: Mailbox | null;
  readonly dsn: DsnParameters;
  readonly line: string;
  /** null: lookup has been asked. A string: the reply that was clear without asking. */
  readonly result: Expansion | string | null;
}

export interface Transaction {
  readonly sender: ReversePath;
  readonly ret: DsnParameters["ret"];
  readonly envid: string;
  /** MAIL was given with SMTPUTF8, with REQUIRETLS, and with BODY=8BITMIME. */
  readonly smtpUtf8: boolean;
  readonly requireTls: boolean;
  readonly eightBit: boolean;
  /** A chunk of the message was read: what may follow are others, or RSET. */
  readonly chunked: boolean;
  readonly accepted: Accepted | null;
  readonly count: number;
  /** What the accepted recipients stand for, all together. */
  readonly targets: number;
  readonly pending: readonly Pending[];
}

/** Where a mechanism of AUTH stands: what the client is to send next, or has sent last. */
export type AuthDialog =
  | { readonly step: "plain" }
  | { readonly step: "user" }
  | { readonly step: "password"; readonly user: string }
  /** SCRAM: the client's first message; `plus`: with channel binding. */
  | { readonly step: "scram"; readonly plus: boolean }
  /** What lookup is asked about its user. */
  | { readonly step: "scram-salt"; readonly plus: boolean; readonly first: ClientFirst }
  /** Its last message; `serverMessage`: the first of the server. */
  | {
    readonly step: "scram-final";
    readonly plus: boolean;
    readonly first: ClientFirst;
    readonly nonce: string;
    readonly serverMessage: string;
  }
  /** Whether its proof is right, or that it has seen ours. */
  | { readonly step: "scram-proof" | "scram-end"; readonly user: string };

/** One BDAT whose octets are being read, RFC 3030 §2. */
export interface Chunk {
  readonly line: string;
  readonly octets: number;
  readonly last: boolean;
  /** Its octets are thrown away, and this is the reply behind them. */
  readonly refusal: string | null;
}

export interface Session {
  /**
   * `greeting`: no banner yet; `data`: after 354; `chunk`: after BDAT; `queue`: waits for `committed`; `auth`: after 334; `verify`, `sender`:
   * waits for lookup, after AUTH and after MAIL; `handshake`: TLS begins; `closed`: the last reply was sent.
   */
  readonly phase:
    | "greeting"
    | "command"
    | "data"
    | "chunk"
    | "queue"
    | "auth"
    | "verify"
    | "sender"
    | "handshake"
    | "closed";
  readonly dialog: AuthDialog | null;
  /** Everybody in the listener's table can log in by SCRAM. */
  readonly scram: boolean;
  /** Data of the channel binding `tls-server-end-point` in base64; null where there is none. */
  readonly binding: string | null;
  /** An AUTH was refused just now: what looks like a command may be the secret of a client that did not wait. */
  readonly maySeeSecret: boolean;
  /** The user who has logged in; "" for none. */
  readonly username: string;
  readonly authFailures: number;
  /** Since the last accepted message; see command_limits.ts. */
  readonly idleCommands: number;
  readonly badCommands: number;
  /** Turned away instead of greeted. */
  readonly rejected: boolean;
  /** The transaction of a MAIL that waits for lookup, and its line for the log. */
  readonly pendingMail: { readonly transaction: Transaction; readonly line: string } | null;
  /** Set by HELO and EHLO. */
  readonly origin: Origin | null;
  readonly esmtp: boolean;
  /** Reverse DNS name of the client. */
  readonly rdns: string;
  /** Whether it has a name is not known now: name servers failed. */
  readonly rdnsUnsure: boolean;
  /** `VERSION:CIPHER:BITS` under TLS. */
  readonly ciphers: string | null;
  /** The client showed a certificate that was verified. */
  readonly verified: boolean;
  /** Messages accepted so far. */
  readonly mails: number;
  readonly transaction: Transaction | null;
  /** In its phase. */
  readonly chunk: Chunk | null;
  readonly nextSlot: number;
  /** Refusals so far; counted for the history only. */
  readonly refusals: number;
  /** The history records, and DATA or BDAT was the last command: what looks like none may be a part of the message. */
  readonly maySeeMail: boolean;
  /** The isolate stops: the session ends as soon as no transaction is open. */
  readonly stopping: boolean;
}

export type Input =
  /** The client's name is known; with smtps the handshake comes first. */
  | {
    readonly on: "connected";
    readonly rdns: string;
    readonly scram?: boolean;
    readonly rdnsUnsure?: true;
    readonly confirmed?: Confirmed;
  }
  /** The client has spoken before its banner, which was delayed to see that. */
  | { readonly on: "early"; readonly rdns: string }
  /** A filter turns the client away with the reply `text`. Without `close` it may say QUIT and nothing else (RFC 5321 §3.1). */
  | {
    readonly on: "turned-away";
    readonly rdns: string;
    readonly text: string;
    readonly close: boolean;
    readonly filter?: FilterNote;
  }
  /** A filter refuses the command `line`, or the message whose data was read. */
  | {
    readonly on: "filtered";
    readonly line: string;
    readonly text: string;
    readonly close: boolean;
    readonly mailAuth?: MailAuth;
    readonly filter?: FilterNote;
  }
  /** `more`: bytes after this line have arrived already. */
  | { readonly on: "command"; readonly command: Command; readonly more: boolean }
  /** Lookup's answer to the RCPT with this slot. */
  | { readonly on: "expanded"; readonly slot: number; readonly result: Expansion }
  /** Whether the client is `user`. `blocked`: it has failed too often to be asked. */
  | { readonly on: "authenticated"; readonly user: string; readonly result: AuthResult | "blocked" }
  /** SCRAM, RFC 5802: what the user's password is hashed with, null when that is not known now. `nonce`: our part, for this exchange only. */
  | { readonly on: "challenged"; readonly challenge: Challenge | "blocked" | null; readonly nonce: string }
  | { readonly on: "proved"; readonly result: AuthResult | "blocked"; readonly signature: string }
  /** May the user who has logged in send as the sender of the transaction? */
  | { readonly on: "sender-judged"; readonly result: AuthResult }
  | { readonly on: "received"; readonly fault: Fault | null }
  /** All octets of the chunk were read. */
  | { readonly on: "chunk-read"; readonly fault: Fault | null }
  /** `mailAuth`: of a message that was checked. */
  | {
    readonly on: "committed";
    readonly message: MessageId;
    readonly bytes: number;
    readonly mailAuth?: MailAuth;
    readonly detail?: MessageDetail;
  }
  | { readonly on: "refused"; readonly code: number; readonly text: string; readonly mailAuth?: MailAuth }
  /** `verified`: the client showed a certificate that was verified. */
  | { readonly on: "secured"; readonly ciphers: string; readonly verified?: boolean; readonly binding: string | null }
  /** Input that no session survives: the reply to it. */
  | { readonly on: "bad-input"; readonly reply: string }
  | { readonly on: "idle" }
  /** An isolate that the session waits for is gone. */
  | { readonly on: "peer-gone" }
  /** `now`: do not wait for the transaction. */
  | { readonly on: "stop"; readonly now: boolean };

export type Effect =
  /** Complete lines with their CRLF. */
  | { readonly do: "reply"; readonly text: string }
  /** `about`: of a refusal, for the history. */
  | { readonly do: "emit"; readonly event: SmtpEvent; readonly about?: Refused }
  | { readonly do: "expand"; readonly slot: number; readonly sender: ReversePath; readonly rcpt: Mailbox }
  /** Ask lookup; the password is not to be kept or shown. Null: it is refused whatever it is, as late as if it had been asked. */
  | { readonly do: "authenticate"; readonly user: string; readonly password: string | null }
  /** Ask lookup what the user's password is hashed with, */
  | { readonly do: "challenge"; readonly user: string }
  /** and whether the proof fits. Null: it is known not to, and that is answered as late as if it had been asked. */
  | { readonly do: "prove"; readonly user: string; readonly proof: { message: string; proof: string } | null }
  | { readonly do: "judge-sender"; readonly table: string; readonly user: string; readonly sender: ReversePath }
  /** 354 was sent: what comes now is the message. */
  | { readonly do: "receive" }
  /** So many octets of it come now, and behind them a command. */
  | { readonly do: "chunk"; readonly octets: number }
  /** The message is whole: give it to the queue. */
  | { readonly do: "commit" }
  /** Forget the message that was being received. */
  | { readonly do: "discard" }
  | { readonly do: "secure" }
  /** After all replies; a message on its way is forgotten. `clientClosed`: the client has ended the session and sends no more. `reason` as in the log. */
  | { readonly do: "close"; readonly reason: string; readonly clientClosed?: boolean };

/** What a refusal is about, as far as the one who refuses knows it. */
export interface Refused {
  readonly sender?: ReversePath;
  readonly rcpt?: Mailbox | null;
  readonly routed?: Routed | undefined;
  readonly filter?: FilterNote | undefined;
}

/** What others are asked about a login, and what they answer. */
export type ScramQuestion = Extract<Effect, { do: "challenge" | "prove" }>;
export type LoginAnswer = Extract<Input, { on: "authenticated" | "challenged" | "proved" }>;

export interface Step {
  readonly session: Session;
  readonly effects: readonly Effect[];
}

/** Returns the state of a session before its banner. */
export function newSession(): Session {
  return {
    phase: "greeting",
    dialog: null,
    scram: false,
    binding: null,
    maySeeSecret: false,
    pendingMail: null,
    username: "",
    authFailures: 0,
    rejected: false,
    idleCommands: 0,
    badCommands: 0,
    origin: null,
    esmtp: false,
    rdns: "<unknown>",
    rdnsUnsure: false,
    ciphers: null,
    verified: false,
    mails: 0,
    transaction: null,
    chunk: null,
    nextSlot: 0,
    refusals: 0,
    maySeeMail: false,
    stopping: false,
  };
}

/** What is known of a client before its banner. */
export interface ClientIdentity {
  /** The name of its address; `<unknown>` where it has none. */
  readonly rdns: string;
  /** Whether that name leads back to the address. */
  readonly confirmed: Confirmed;
  /** Everybody in the listener's table can log in by SCRAM. */
  readonly scram: boolean;
}

/** The input by which the session of this client begins. A name that could not be looked up is marked: whether there is one is not known now. */
export function connectedBy({ rdns, confirmed, scram }: ClientIdentity): Extract<Input, { on: "connected" }> {
  const unsure = confirmed === "temporary" && rdns === "<unknown>";
  return { on: "connected", rdns, scram, confirmed, ...(unsure ? { rdnsUnsure: true } : {}) };
}
