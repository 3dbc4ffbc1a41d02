/**
 * Messages that were committed a moment ago, kept in memory so that their first delivery reads no disk. A copy of what the database holds:
 * it is changed only after a commit. Bounded by bytes.
 */

import type { Envelope, EnvelopeNumber, EnvelopeRow, EnvelopeState, MessageNumber } from "../../envelope/mod.ts";

/** Memory for bodies and envelopes together. */
const MAX_BYTES = 32 * 1024 * 1024;
/** Bodies above this are read from the database: they would push too many others out. */
const MAX_BODY_BYTES = 64 * 1024;
/** What an envelope is taken to cost. */
const ENVELOPE_BYTES = 1024;
/** Envelopes of a message that is kept at most. */
const MAX_ENVELOPES = 1000;

export interface RecentMessage {
  readonly bytes: number;
  readonly chunks: number;
  /** Chunk 0, which is the whole body. */
  readonly first: Uint8Array<ArrayBuffer>;
  /** All envelopes that are still queued, by their own number. */
  readonly envelopes: Map<EnvelopeNumber, Envelope>;
}

export class Recent {
  /** Least recently used first. */
  readonly #messages = new Map<MessageNumber, RecentMessage>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#messages.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps a message, unless it is large. */
  put(number: MessageNumber, message: RecentMessage): void {
    if (message.chunks > 1 || message.first.length > MAX_BODY_BYTES || message.envelopes.size > MAX_ENVELOPES) return;
    this.remove(number);
    this.#messages.set(number, message);
    this.#bytes += costOf(message);
    for (const [oldest, { first, envelopes }] of this.#messages) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#messages.delete(oldest);
      this.#bytes -= first.length + envelopes.size * ENVELOPE_BYTES;
    }
  }

  get(number: MessageNumber): RecentMessage | undefined {
    const message = this.#messages.get(number);
    if (message === undefined) return undefined;
    this.#messages.delete(number);
    this.#messages.set(number, message);
    return message;
  }

  /** The envelope if it is here; does not count as use. */
  envelope({ message, envelope }: EnvelopeRow): Envelope | undefined {
    return this.#messages.get(message)?.envelopes.get(envelope);
  }

  addEnvelope(row: EnvelopeRow, envelope: Envelope): void {
    const envelopes = this.#messages.get(row.message)?.envelopes;
    if (envelopes === undefined || envelopes.has(row.envelope)) return;
    envelopes.set(row.envelope, envelope);
    this.#bytes += ENVELOPE_BYTES;
  }

  setState(row: EnvelopeRow, state: Partial<EnvelopeState>): void {
    const envelope = this.envelope(row);
    if (envelope !== undefined) Object.assign(envelope, state);
  }

  /** The last envelope takes the message with it. */
  removeEnvelope({ message, envelope }: EnvelopeRow): void {
    const envelopes = this.#messages.get(message)?.envelopes;
    if (envelopes === undefined || !envelopes.delete(envelope)) return;
    this.#bytes -= ENVELOPE_BYTES;
    if (envelopes.size === 0) this.remove(message);
  }

  remove(number: MessageNumber): void {
    const message = this.#messages.get(number);
    if (message === undefined) return;
    this.#messages.delete(number);
    this.#bytes -= costOf(message);
  }
}

function costOf(message: RecentMessage): number {
  return message.first.length + message.envelopes.size * ENVELOPE_BYTES;
}
