/** What the history is told of messages that come into the queue without a client: from files, or written by this host. Pure. */

import { type EnvelopeContent, messageOf } from "../envelope/mod.ts";
import { type AcceptedEnvelope, MAX_LISTED_PARTS, type QueueMessageEvent } from "../events/mod.ts";

/** The first MAX_LISTED_PARTS of these envelopes, as events name them. */
export function listedEnvelopes(envelopes: readonly EnvelopeContent[]): AcceptedEnvelope[] {
  return envelopes.slice(0, MAX_LISTED_PARTS).map(({ id, rcpt, dest, agent, action, user }) => {
    return { id, rcpt, dest, agent, action, ...(user === undefined ? {} : { user }) };
  });
}

/** The event of a message, of which there is at least one envelope. */
export function queueMessage(
  how: QueueMessageEvent["how"],
  envelopes: readonly EnvelopeContent[],
  bytes: number,
): QueueMessageEvent {
  const { id, sender } = envelopes[0]!, listed = listedEnvelopes(envelopes);
  const more = envelopes.length - listed.length;
  return { type: "queue-message", message: messageOf(id), how, from: sender, bytes, envelopes: listed, more };
}
