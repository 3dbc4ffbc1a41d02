/**
 * The message of a session from 354 or its first BDAT until the queue has answered: reads its octets out of the client's input and returns
 * an input for the session when it is clear what becomes of it. Independent of replies; see connection.ts.
 */

import type { MailAuth } from "../../envelope/mod.ts";
import type { ClientInput } from "../client_input.ts";
import type { Chunk, Input, Session } from "../session/state.ts";
import type { Receiver, Refuse } from "./incoming.ts";

/** What reading led to: an input for the session, or whether it got any further. False: input, a message id or credit has to come first. */
export type Progress = Input | boolean;

export class Reception {
  #receiver: Receiver | null = null;
  /** Octets of the chunk that are still to come. */
  #chunkOctets = 0;
  readonly #begin: () => Receiver | null;

  /** `begin` makes what takes the message; null where there is no message id yet, which is asked for again. */
  constructor(begin: () => Receiver | null) {
    this.#begin = begin;
  }

  /** True while there is a message on its way. */
  get active(): boolean {
    return this.#receiver !== null;
  }

  /** True when what comes is thrown away. */
  get refused(): boolean {
    return this.#receiver?.refused === true;
  }

  /** False: the next read must wait until the queue has given credit. */
  get ready(): boolean {
    return this.#receiver?.ready() !== false;
  }

  /** Reads message data, up to CRLF.CRLF (RFC 5321 §4.1.1.4). */
  data(input: ClientInput): Progress {
    const from = input.position;
    if (input.empty) return this.#receiver?.outcome() ?? false;
    this.#receiver ??= this.#begin();
    if (this.#receiver === null) return false;
    input.position = this.#receiver.push(input.bytes, from);
    return this.#receiver.outcome() ?? input.position > from;
  }

  /** A BDAT was accepted, or refused: so many octets of it come now. */
  expectChunk(octets: number): void {
    this.#chunkOctets = octets;
  }

  /** Reads octets of a chunk, RFC 3030 §2; a command follows them. */
  chunk(input: ClientInput, { last, refusal }: Chunk): Progress {
    const from = input.position;
    const end = Math.min(input.bytes.length, from + this.#chunkOctets);
    if (refusal === null) {
      if (this.#chunkOctets > 0 && from === end) return false;
      this.#receiver ??= this.#begin();
      if (this.#receiver === null) return false;
    }
    input.position = refusal !== null || from === end ? end : this.#receiver!.push(input.bytes, from, end);
    this.#chunkOctets -= input.position - from;
    if (this.#chunkOctets > 0 && !this.#receiver?.hopeless) return input.position > from;
    return refusal !== null ? { on: "chunk-read", fault: null } : this.#receiver!.chunkOutcome({ last });
  }

  /** The queue may be sent one more chunk. */
  credited(): void {
    this.#receiver?.credited();
  }

  /** The queue will not take the message: the session is given that at the end of the data, or of the chunk that comes next. */
  refuse(code: number, text: string): void {
    this.#receiver?.refuse(code, text);
  }

  /** True once the queue has all of the message. */
  get committed(): boolean {
    return this.#receiver?.committed === true;
  }

  /** What comes is shown to authenticators. */
  get authenticated(): boolean {
    return this.#receiver?.authenticated === true;
  }

  /** What the message was found to be; null as long as that is not known. */
  get mailAuth(): MailAuth | null {
    return this.#receiver?.mailAuth ?? null;
  }

  /** The message is whole: gives it to the queue, or calls `refuse` with the reply. */
  commit(session: Session, refuse: Refuse): void {
    this.#receiver?.commit(session, refuse);
  }

  /** The queue has answered: returns what it had been given, null for nothing. */
  finish(): Receiver | null {
    const receiver = this.#receiver;
    this.#receiver = null;
    return receiver;
  }

  /** Forgets the message. One that was committed is the queue's: it may or may not be stored. */
  discard(): void {
    this.finish()?.discard();
  }
}
