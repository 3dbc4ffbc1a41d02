/**
 * The MAC of a job: with it relay and delivery show the queue that the scheduler has given them these envelopes of a message. Only scheduler and
 * queue have the key.
 */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";
import { Hmac } from "./hmac.ts";

/** What the MAC covers. */
export interface GivenJob {
  readonly agent: "mda" | "mta";
  readonly message: MessageId;
  readonly ids: readonly EnvelopeId[];
}

/** Makes and checks the MACs of one key. */
export class JobMac {
  readonly #hmac: Hmac;

  /** `key` has MAC_KEY_OCTETS. Throws when it has not. */
  constructor(key: Uint8Array) {
    this.#hmac = new Hmac(key);
  }

  /** Returns the MAC of a job as 64 hexadecimal digits. */
  of(job: GivenJob): string {
    return this.#hmac.of(encoding(job));
  }

  /** Returns whether `text` is the MAC of the job. */
  verify(job: GivenJob, text: string): boolean {
    return this.#hmac.verify(encoding(job), text);
  }
}

function encoding({ agent, message, ids }: GivenJob): string {
  return JSON.stringify([agent, message, ids]);
}
