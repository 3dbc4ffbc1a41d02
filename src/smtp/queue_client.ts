/** The smtp side of the door to the queue: ids in stock, and which session each message on its way belongs to. */

import type { MessageId } from "../envelope/mod.ts";
import type { DmarcResult } from "../mail_auth/dmarc_report/mod.ts";
import type { EmitEvent } from "../events/mod.ts";
import { type Channel } from "../isolate/mod.ts";
import type { QueueToSmtp, SmtpToQueue } from "../protocol/mod.ts";
import { CHUNK_BYTES } from "../protocol/smtp_queue.ts";

/** The session of a message on its way. */
export interface Submitter {
  /** Filters know the ids of its messages: none may serve twice. */
  readonly reportsIds: boolean;
  /** One more chunk may be sent. */
  credited(): void;
  /** It is on stable storage. */
  committed(): void;
  refused(code: number, text: string): void;
}

/** A session for which there was no id. */
export interface Waiter {
  idsArrived(): void;
  /** There has been no queue for too long: it is not waited for any more. */
  queueMissed(): void;
}

/** Ids kept at most; a queue that sends more is not to be trusted with our memory. */
const MAX_IDS = 65536;
/** So long a session waits for another queue when there is none, in milliseconds. */
export const MISSED_MS = 3000;
/** Spent buffers kept at most: 16 MB. */
const MAX_BUFFERS = 64;

export class QueueClient {
  /** The queue was replaced: whatever was on its way is lost, and the ids with it. Called when they are forgotten. */
  onreset: () => void = () => {};
  /** Buffers of CHUNK_BYTES that the queue gave back. Reuse keeps unused ones from piling up until the garbage collection. */
  readonly buffers: Uint8Array<ArrayBuffer>[] = [];
  /** Size of the largest message that the queue can store now. */
  readonly room = { bytes: Infinity };
  /** Octets in the assembly buffers of all sessions. */
  held = 0;
  #ids: MessageId[] = [];
  /** The queue was asked for more, and has not sent any. */
  #wanted = false;
  readonly #waiting = new Set<Waiter>();
  /** There is no queue: none has sent an id since the last one ended. `since` is when that was seen. */
  #missing: { since: number | null } | null = { since: null };
  readonly #submitters = new Map<MessageId, Submitter>();
  readonly #report: EmitEvent;
  readonly #channel: Channel<SmtpToQueue, QueueToSmtp>;

  /** `emit` is called for each number that the queue has committed, behind the call of its session. */
  constructor(channel: Channel<SmtpToQueue, QueueToSmtp>, emit: EmitEvent = () => {}) {
    this.#report = emit;
    this.#channel = channel;
    channel.onmessage = (message) => this.#receive(message);
    channel.onreset = () => {
      this.#ids = [];
      this.#wanted = false;
      this.#missing ??= { since: null };
      this.room.bytes = Infinity;
      this.#submitters.clear();
      this.onreset();
    };
  }

  /** Has a result of DMARC counted for a report. */
  count(result: DmarcResult): void {
    this.#channel.send({ type: "dmarc-result", result });
  }

  /** An id of which the caller must make a message: by `commit`, `abort`, `drop` or `giveBack`. Null when there is none; the waiter is called later. */
  take(submitter: Submitter, waiter: Waiter): MessageId | null {
    const id = this.#ids.pop();
    if (id === undefined) {
      this.#waiting.add(waiter);
      if (!this.#wanted) this.#channel.send({ type: "ids-wanted" });
      this.#wanted = true;
      return null;
    }
    this.#submitters.set(id, submitter);
    return id;
  }

  /** This id is in use nowhere: it can serve for another message. */
  giveBack(id: MessageId): void {
    if (this.#submitters.delete(id)) this.#ids.push(id);
  }

  /** No message came of it, and it is not in the queue; filters may have seen it. */
  drop(id: MessageId): void {
    if (this.#submitters.get(id)?.reportsIds) this.abort(id);
    else this.giveBack(id);
  }

  /** To be called now and then: who has waited long enough for a queue that is not there waits no more. */
  look(now: number): void {
    if (this.#missing === null) return;
    this.#missing.since ??= now;
    if (now - this.#missing.since < MISSED_MS) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.queueMissed();
  }

  stopWaiting(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  send(message: SmtpToQueue, transfer?: Transferable[]): void {
    this.#channel.send(message, transfer);
  }

  /** The queue keeps nothing of the message, or is made to forget what it has. */
  abort(id: MessageId): void {
    if (this.#submitters.delete(id)) this.#channel.send({ type: "abort", message: id });
  }

  /** The session left while its commit was on the way: the message is the queue's, no one waits for the answer. */
  forget(id: MessageId): void {
    this.#submitters.delete(id);
  }

  #receive(message: QueueToSmtp): void {
    if (message.type === "ids") return this.#stock(message.ids);
    if (message.type === "room") {
      this.room.bytes = message.bytes;
      return;
    }
    if (message.type === "credit") this.recycle(message.spent);
    const submitter = this.#submitters.get(message.message);
    if (message.type === "committed") {
      this.#submitters.delete(message.message);
      submitter?.committed();
      return this.#report({ type: "smtp-committed", number: message.number });
    }
    if (submitter === undefined) return;
    if (message.type === "credit") return submitter.credited();
    this.#submitters.delete(message.message);
    submitter.refused(message.code, message.text);
  }

  /** Keeps the buffer of a chunk that the queue has, to be filled again; of one that was moved nothing is here. */
  recycle(spent: ArrayBuffer | undefined): void {
    if (spent?.byteLength !== CHUNK_BYTES || this.buffers.length >= MAX_BUFFERS) return;
    this.buffers.push(new Uint8Array(spent));
  }

  #stock(ids: readonly MessageId[]): void {
    this.#wanted = false;
    this.#missing = null;
    for (const id of ids) if (this.#ids.length < MAX_IDS) this.#ids.push(id);
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.idsArrived();
  }
}
