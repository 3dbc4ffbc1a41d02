/**
 * The envelopes that an agent has in hand: those of the jobs that the scheduler has given it and whose outcome it has not reported. The agent
 * reads no other message and settles no other envelope. One for each isolate that delivers.
 */

import type { EnvelopeId, MessageId } from "../envelope/mod.ts";

export class InHand {
  readonly #messages = new Map<MessageId, Set<EnvelopeId>>();

  /** The scheduler has given the agent these envelopes of a message. */
  add(message: MessageId, ids: readonly EnvelopeId[]): void {
    const held = this.#messages.get(message);
    if (held === undefined) this.#messages.set(message, new Set(ids));
    else for (const id of ids) held.add(id);
  }

  /** Whether the agent has an envelope of the message. */
  holds(message: MessageId): boolean {
    return this.#messages.has(message);
  }

  /** Whether the agent has all of these envelopes of the message. */
  holdsAll(message: MessageId, ids: readonly EnvelopeId[]): boolean {
    const held = this.#messages.get(message);
    return held !== undefined && ids.every((id) => held.has(id));
  }

  /** Takes an envelope out of the agent's hand. Returns false when it was not there. */
  remove(message: MessageId, id: EnvelopeId): boolean {
    const held = this.#messages.get(message);
    if (held?.delete(id) !== true) return false;
    if (held.size === 0) this.#messages.delete(message);
    return true;
  }
}
