/** One message between 354, or its first chunk, and the queue's answer: its Received field, its reader, its buffer, its envelopes. See connection.ts. */

import {
  type EnvelopeId,
  formatMailbox,
  type Handling,
  isAscii,
  type MailAuth,
  type Mailbox,
  type MessageId,
} from "../../envelope/mod.ts";
import { isForged } from "../../mail_auth/authentication_results.ts";
import { HeaderField } from "../../mail_auth/header_fields.ts";
import { MessageBuffer } from "./message_buffer.ts";
import { DataReader } from "./data.ts";
import { type Envelopes, envelopesOf, recipients } from "../session/envelopes.ts";
import type { Authentication } from "./authentication.ts";
import type { Completion } from "./completion.ts";
import { append } from "./header.ts";
import type { QueueClient } from "../queue_client.ts";
import { receivedField } from "./received.ts";
import type { ConnectionFacts, Input, Session, Transaction } from "../session/state.ts";

/** The reply to a message that is not to be stored for one of its recipients. */
export interface ReconsideredRefusal {
  readonly code: number;
  readonly text: string;
}

/** What a message needs of the isolate that receives it. */
export interface MessageDeps {
  readonly queue: QueueClient;
  /** Milliseconds since the epoch. */
  now(): number;
  /** As `dateWriter` of received.ts makes it. */
  date(at: number): string;
  newEnvelopeId(message: MessageId): EnvelopeId;
  /** 16 hex digits. */
  newToken(): string;
  /** What authenticates the message of a session in its data phase; null for nothing. */
  authentication?(message: MessageId, session: Session, facts: ConnectionFacts): Authentication | null;
  /** Decides about the recipients anew, of a message that was checked; absent where no rule looks at that. Never rejects. */
  reconsider?(session: Session, message: MessageId, mailAuth: MailAuth): Promise<Session | ReconsideredRefusal>;
}

/** What differs from listener to listener, beside ConnectionFacts. */
export interface MessagePolicy {
  readonly maskSource: boolean;
  readonly receivedAuth: boolean;
  /** The listener's host name, for addresses without a domain. */
  readonly domain: Uint8Array;
  /** All mail is submitted here: its header is completed, as is that of users who have logged in. Other mail is in transit. */
  readonly submission: boolean;
  /** From names the sender of the envelope, for users who have logged in. */
  readonly masquerade: boolean;
}

/** What became of a message in the commit, for the history. */
export interface AcceptedParts {
  readonly session: Session;
  readonly envelopes: Envelopes;
  readonly handling: Handling | null;
  /** "" where it has none. */
  readonly messageId: string;
  /** When its data began, in milliseconds since the epoch. */
  readonly begunAt: number;
}

/** What takes a message from the client's bytes to the queue. */
export interface Receiver {
  readonly message: MessageId;
  /** The last envelope of each recipient, once the message has been committed. */
  readonly named: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[];
  /** What the history is told of it, once it has been committed; null where nothing is recorded. */
  readonly accepted: AcceptedParts | null;
  /** Octets given to the queue. */
  readonly bytes: number;
  /** What the message was found to be, once it has been committed; null where it was not checked. */
  readonly mailAuth: MailAuth | null;
  /** What comes is shown to authenticators. */
  readonly authenticated: boolean;
  /** What comes is thrown away. */
  readonly refused: boolean;
  /** What came no session survives. */
  readonly hopeless: boolean;
  push(input: Uint8Array, start: number, end?: number): number;
  ready(): boolean;
  outcome(): Input | null;
  /** As `outcome`, behind a chunk. */
  chunkOutcome({ last }: { readonly last: boolean }): Input;
  credited(): void;
  refuse(code: number, text: string): void;
  /** Gives the message to the queue, at once or when it is authenticated. `refuse` is called instead where it is not to be stored. */
  commit(session: Session, refuse: Refuse): void;
  /** True once the queue has all of it: it may or may not be stored. */
  readonly committed: boolean;
  /** Forgets it. What was `committed` is the queue's. */
  discard(): void;
}

/** Is called with a reply, and with what the message was found to be. */
export type Refuse = (
  refusal: { readonly code: number; readonly text: string; readonly mailAuth: MailAuth | null },
) => void;

/** How the message of a session in its data phase is completed; null for one in transit. */
export function completionOf(
  session: Session,
  facts: ConnectionFacts,
  policy: MessagePolicy,
  deps: MessageDeps,
): Completion | null {
  if (!policy.submission && session.username === "") return null;
  const { sender } = session.transaction!;
  const at = deps.now();
  const own = policy.masquerade && session.username !== "" && sender !== null;
  return {
    domain: policy.domain,
    fields: {
      date: () => deps.date(at),
      messageId: () => `<${deps.newToken()}@${facts.hostname}>`,
      from: () => sender === null ? null : formatMailbox(sender),
    },
    masquerade: own ? new TextEncoder().encode(formatMailbox(sender)) : null,
  };
}

/** Returns what tells whether a field Authentication-Results is forged; null where the listener checks no mail. */
export function forgedFor({ mailAuth, hostname }: ConnectionFacts): ((field: Uint8Array) => boolean) | null {
  return mailAuth === null ? null : (octets) => isForged(new HeaderField(octets), hostname);
}

/**
 * How a message begins: `front` stands before the Received field. `bare`: neither is put in front of it here, nor is its header completed; that was
 * done before filters saw it.
 */
export interface Beginning {
  readonly front: string;
  readonly bare: boolean;
  /** Where it is `bare`, who made that so shows what was received. */
  readonly authentication: Authentication | null;
}

export class IncomingMessage implements Receiver {
  readonly message: MessageId;
  /** The lines that stand in front of the message, each with its LF. */
  readonly front: string;
  /** The last envelope of each recipient, once the message has been committed. */
  named: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[] = [];
  accepted: AcceptedParts | null = null;
  readonly #begunAt: number;
  readonly #records: boolean;
  readonly #buffer: MessageBuffer;
  readonly #reader: DataReader;
  readonly #deps: MessageDeps;
  /** Our own trace field has an address beyond ASCII. */
  readonly #traceUtf8: boolean;
  /** The queue gave up while the message was still coming in: the reply comes at its end. */
  #refusal: { readonly code: number; readonly text: string } | null = null;
  readonly #authentication: Authentication | null;
  /** Places in the message up to which the authentication has seen it. */
  readonly #seen: { received: number; stored: number };
  /** What authenticates it may have signed it, under its id. */
  #authenticating = false;
  mailAuth: MailAuth | null = null;
  #state: "open" | "committed" | "discarded" = "open";

  /** `session` is in its data or chunk phase. */
  constructor(
    message: MessageId,
    session: Session,
    facts: ConnectionFacts,
    policy: MessagePolicy,
    deps: MessageDeps,
    { front, bare, authentication }: Beginning,
  ) {
    this.message = message;
    this.#deps = deps;
    this.#authentication = authentication;
    const { origin, esmtp, ciphers, verified, transaction } = session;
    const at = this.#begunAt = deps.now();
    this.#records = facts.history !== undefined;
    this.#buffer = new MessageBuffer(message, deps.queue, { frontFollows: authentication !== null });
    const { smtpUtf8 } = transaction!;
    this.front = front + receivedField({
      origin: origin!,
      esmtp,
      smtpUtf8,
      ciphers,
      verified,
      maskSource: policy.maskSource,
      receivedAuth: policy.receivedAuth,
      message,
      rcpt: transaction!.count === 1 ? transaction!.accepted!.rcpt : null,
      date: deps.date(at),
    });
    if (!bare) append(this.#buffer, this.front);
    this.#seen = { received: bare ? Infinity : 0, stored: 0 };
    const shows = !bare && authentication?.seesReceived === true;
    this.#traceUtf8 = smtpUtf8 && !isAscii(this.front);
    this.#reader = new DataReader(this.#buffer, {
      maxBytes: facts.maxMessageBytes,
      chunked: session.phase === "chunk",
      completion: bare ? null : completionOf(session, facts, policy, deps),
      watchUtf8: smtpUtf8,
      watchMessageId: this.#records,
      ...(bare || forgedFor(facts) === null ? {} : { isForged: forgedFor(facts)! }),
      ...(shows ? { onLine: (line: Uint8Array) => authentication.received(line) } : {}),
    });
  }

  get authenticated(): boolean {
    return this.#authentication !== null;
  }

  get committed(): boolean {
    return this.#state === "committed";
  }

  /** Octets given to the queue. */
  get bytes(): number {
    return this.#buffer.sent;
  }

  /** Reads on in `input` up to `end`. Returns where it stopped; `start` when the queue has to give credit first. */
  push(input: Uint8Array, start: number, end = input.length): number {
    const room = this.#buffer.room(this.#reader, end - start);
    if (room === 0) return start;
    const stopped = this.#reader.push(input, start, start + room);
    if (this.#authentication !== null) this.#show(this.#authentication);
    return stopped;
  }

  /** Shows the authentication what will not change any more. Nothing leaves the buffer before. */
  #show(authentication: Authentication): void {
    const reader = this.#reader, { sent, buffer } = this.#buffer, seen = this.#seen;
    if (reader.fault !== null) return;
    const end = sent + reader.settled;
    if (end > seen.stored) authentication.stored(buffer.subarray(seen.stored - sent, reader.settled));
    seen.stored = end;
    // Of the header section, each line was shown as it came.
    if (reader.inHeader || seen.received === Infinity) return;
    seen.received = Math.max(seen.received, reader.bodyStart);
    if (end > seen.received) authentication.received(buffer.subarray(seen.received - sent, reader.settled));
    seen.received = end;
  }

  /** False: the next read must wait until the queue has given credit. */
  ready(): boolean {
    return this.#buffer.ready(this.#reader);
  }

  /** The input for the session: null while the end of the data has not been read. */
  outcome(): Input | null {
    const { done, fault, hopeless } = this.#reader;
    if (!done && !hopeless) return null;
    return this.#refused() ?? { on: "received", fault };
  }

  /** A chunk has been read: the input for the session. */
  chunkOutcome({ last }: { readonly last: boolean }): Input {
    if (last) {
      this.#reader.finish();
      if (this.#authentication !== null) this.#show(this.#authentication);
    }
    return this.#refused() ?? { on: "chunk-read", fault: this.#reader.fault };
  }

  get refused(): boolean {
    return this.#reader.fault !== null;
  }

  /** True for a fault that no session survives, wherever the data ends. */
  get hopeless(): boolean {
    return this.#reader.hopeless;
  }

  #refused(): Input | null {
    return this.#reader.fault === "refused" && this.#refusal !== null ? { on: "refused", ...this.#refusal } : null;
  }

  credited(): void {
    this.#buffer.credited();
  }

  /** The queue will not take it: the rest is read and thrown away. */
  refuse(code: number, text: string): void {
    this.#refusal = { code, text };
    this.#reader.refuse();
  }

  commit(session: Session, refuse: Refuse): void {
    if (this.#authentication === null) return this.#commit(session);
    this.#authenticating = true;
    this.#authenticate(session, this.#authentication, refuse);
  }

  /** Behind each wait, the session may have ended, or the queue. Never rejects. */
  async #authenticate(session: Session, authentication: Authentication, refuse: Refuse): Promise<void> {
    this.mailAuth = await authentication.mailAuth();
    if (this.#state !== "open") return;
    const { reconsider } = this.#deps;
    if (this.mailAuth !== null && reconsider !== undefined) {
      const reconsidered = await reconsider(session, this.message, this.mailAuth);
      if (this.#state !== "open") return;
      if ("code" in reconsidered) {
        authentication.decided("rejected");
        return refuse({ ...reconsidered, mailAuth: this.mailAuth });
      }
      session = reconsidered;
    }
    const result = await authentication.finish(session);
    if (this.#state !== "open") return;
    authentication.decided(result.kind === "refused" ? "rejected" : "accepted");
    if (result.kind === "refused") refuse({ ...result, mailAuth: this.mailAuth });
    else this.#commit(session, result.fields);
  }

  #commit(session: Session, front?: Uint8Array<ArrayBuffer>): void {
    this.#state = "committed";
    const transaction = session.transaction!, handling = this.#handling(transaction);
    const envelopes = envelopesOf({
      message: this.message,
      sender: transaction.sender,
      origin: session.origin!,
      accepted: recipients(transaction),
      createdAt: this.#deps.now(),
      handling,
      mailAuth: this.mailAuth,
      newId: this.#deps.newEnvelopeId,
    });
    this.named = envelopes.last;
    if (this.#records) {
      const { messageId } = this.#reader;
      this.accepted = { session, envelopes, handling, messageId, begunAt: this.#begunAt };
    }
    this.#buffer.commit(envelopes.all, front);
  }

  #handling({ smtpUtf8, requireTls }: Transaction): Handling | null {
    const utf8Header = smtpUtf8 && (this.#traceUtf8 || this.#reader.utf8Header);
    // RFC 8689 §4.1: the parameter outranks the field.
    const tlsOptional = !requireTls && this.#reader.tlsOptional;
    if (!smtpUtf8 && !requireTls && !tlsOptional) return null;
    return {
      ...(smtpUtf8 ? { smtpUtf8 } : {}),
      ...(utf8Header ? { utf8Header } : {}),
      ...(requireTls ? { requireTls } : {}),
      ...(tlsOptional ? { tlsOptional } : {}),
    };
  }

  discard(): void {
    if (this.committed) this.#deps.queue.forget(this.message);
    else this.#buffer.abort({ seen: this.#authenticating });
    this.#state = "discarded";
  }
}
