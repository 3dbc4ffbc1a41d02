/** One message between 354, or its first chunk, and the queue's answer: its Received field, its reader, its buffer, its envelopes. See connection.ts. */

import {
  type EnvelopeId,
  formatMailbox,
  type Handling,
  isAscii,
  type Mailbox,
  type MessageId,
} from "../../envelope/mod.ts";
import { MessageBuffer } from "./message_buffer.ts";
import { DataReader } from "./data.ts";
import { envelopesOf, recipients } from "../session/envelopes.ts";
import type { Completion } from "./completion.ts";
import { append } from "./header.ts";
import type { QueueClient } from "../queue_client.ts";
import { receivedField } from "./received.ts";
import type { ConnectionFacts, Input, Session, Transaction } from "../session/state.ts";

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

/** What takes a message from the client's bytes to the queue. */
export interface Receiver {
  readonly message: MessageId;
  /** The last envelope of each recipient, once the message has been committed. */
  readonly named: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[];
  /** Octets given to the queue. */
  readonly bytes: number;
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
  commit(session: Session): void;
  discard(how: { readonly committed: boolean }): void;
}

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

/**
 * How a message begins: `front` stands before the Received field. `bare`: neither is put in front of it here, nor is its header completed; that was
 * done before filters saw it.
 */
export interface Beginning {
  readonly front: string;
  readonly bare: boolean;
}

export class IncomingMessage implements Receiver {
  readonly message: MessageId;
  /** The lines that stand in front of the message, each with its LF. */
  readonly front: string;
  /** The last envelope of each recipient, once the message has been committed. */
  named: readonly { readonly id: EnvelopeId; readonly to: Mailbox }[] = [];
  readonly #buffer: MessageBuffer;
  readonly #reader: DataReader;
  readonly #deps: MessageDeps;
  /** Our own trace field has an address beyond ASCII. */
  readonly #traceUtf8: boolean;
  /** The queue gave up while the message was still coming in: the reply comes at its end. */
  #refusal: { readonly code: number; readonly text: string } | null = null;

  /** `session` is in its data or chunk phase. */
  constructor(
    message: MessageId,
    session: Session,
    facts: ConnectionFacts,
    policy: MessagePolicy,
    deps: MessageDeps,
    { front, bare }: Beginning = { front: "", bare: false },
  ) {
    this.message = message;
    this.#deps = deps;
    const { origin, esmtp, ciphers, verified, transaction } = session;
    const at = deps.now();
    this.#buffer = new MessageBuffer(message, deps.queue);
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
    this.#traceUtf8 = smtpUtf8 && !isAscii(this.front);
    this.#reader = new DataReader(this.#buffer, {
      maxBytes: facts.maxMessageBytes,
      chunked: session.phase === "chunk",
      completion: bare ? null : completionOf(session, facts, policy, deps),
      watchUtf8: smtpUtf8,
    });
  }

  /** Octets given to the queue. */
  get bytes(): number {
    return this.#buffer.sent;
  }

  /** Reads on in `input` up to `end`. Returns where it stopped; `start` when the queue has to give credit first. */
  push(input: Uint8Array, start: number, end = input.length): number {
    const room = this.#buffer.room(this.#reader, end - start);
    return room === 0 ? start : this.#reader.push(input, start, start + room);
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
    if (last) this.#reader.finish();
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

  commit(session: Session): void {
    const transaction = session.transaction!;
    const envelopes = envelopesOf({
      message: this.message,
      sender: transaction.sender,
      origin: session.origin!,
      accepted: recipients(transaction),
      createdAt: this.#deps.now(),
      handling: this.#handling(transaction),
      newId: this.#deps.newEnvelopeId,
    });
    this.named = envelopes.last;
    this.#buffer.commit(envelopes.all);
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

  /** Forgets it. One that was `committed` is the queue's: it may or may not be stored. */
  discard({ committed }: { readonly committed: boolean }): void {
    if (committed) this.#deps.queue.forget(this.message);
    else this.#buffer.abort();
  }
}
