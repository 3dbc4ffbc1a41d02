/** A queue that keeps nothing: it takes what smtp gives it by the checks of the real one, tells what it has taken, and forgets it. */

import type { EnvelopeContent, MessageId } from "../envelope/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import { EnvelopeMac } from "../mac/mod.ts";
import type { QueueToSmtp, SmtpToQueue } from "../protocol/mod.ts";
import { copyEnvelopes } from "../queue/validate_envelope.ts";

/** What the queue would have stored of a message. */
export interface TakenMessage {
  readonly id: MessageId;
  readonly envelopes: readonly EnvelopeContent[];
  /** With LF at the end of its lines, as it is stored. */
  readonly text: Uint8Array;
}

/** Ids that are given at one time. */
const BLOCK_IDS = 16;

/** Serves the door of smtp to the queue. */
export class MemoryQueue {
  /** Messages that were committed since the last look. */
  taken: TakenMessage[] = [];
  readonly #channel: Channel<QueueToSmtp, SmtpToQueue>;
  readonly #mac: EnvelopeMac;
  readonly #newId: () => MessageId;
  readonly #chunks = new Map<MessageId, Uint8Array[]>();
  #number = 0;

  constructor(
    channel: Channel<QueueToSmtp, SmtpToQueue>,
    { macKey, newId }: { readonly macKey: Uint8Array; readonly newId: () => MessageId },
  ) {
    this.#channel = channel;
    this.#mac = new EnvelopeMac(macKey);
    this.#newId = newId;
    channel.onmessage = (message) => this.#receive(message);
    this.#sendIds();
  }

  #sendIds(): void {
    // Smtp takes the last first.
    this.#channel.send({ type: "ids", ids: Array.from({ length: BLOCK_IDS }, () => this.#newId()).reverse() });
  }

  #receive(message: SmtpToQueue): void {
    switch (message.type) {
      case "ids-wanted":
        return this.#sendIds();
      case "dmarc-result":
        return;
      case "abort":
        return void this.#chunks.delete(message.message);
      case "chunk": {
        const { message: id, bytes } = message;
        this.#chunks.set(id, [...this.#chunks.get(id) ?? [], bytes]);
        return this.#channel.send({ type: "credit", message: id });
      }
      case "commit":
        return this.#commit(message);
    }
    message satisfies never;
  }

  #commit({ message: id, front, tail, envelopes: given }: Extract<SmtpToQueue, { type: "commit" }>): void {
    const chunks = this.#chunks.get(id) ?? [];
    this.#chunks.delete(id);
    const envelopes = copyEnvelopes(id, given);
    const sound =
      envelopes?.every((one, index) => this.#mac.verify({ ...one, message: id }, given[index]!.mac)) === true;
    if (!sound) {
      // The real queue has smtp replaced for it: no sound one says such a thing.
      return this.#channel.send({
        type: "refused",
        message: id,
        code: 451,
        text: "4.3.0 The message could not be stored",
      });
    }
    this.taken.push({ id, envelopes, text: joined([...front === undefined ? [] : [front], ...chunks, tail]) });
    this.#channel.send({ type: "committed", message: id, number: ++this.#number });
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
