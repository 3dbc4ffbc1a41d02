/** What the history is told of a message that was accepted. Pure. */

import {
  type AcceptedEnvelope,
  type FilterNote,
  MAX_LISTED_PARTS,
  MAX_LISTED_TREES,
  type MessageDetail,
} from "../../events/mod.ts";
import type { EnvelopeContent } from "../../envelope/mod.ts";
import { recipients } from "../session/envelopes.ts";
import type { AcceptedParts } from "./incoming.ts";

/** Returns the detail of its event, cut to what one event may have. `durableAt`: when the queue had it on stable storage. */
export function messageDetail(
  { session, envelopes, handling, messageId, begunAt }: AcceptedParts,
  { durableAt, filters }: { readonly durableAt: number; readonly filters: readonly FilterNote[] },
): MessageDetail {
  const transaction = session.transaction!;
  const trees = recipients(transaction).flatMap(({ expansion: { routed } }) => routed === undefined ? [] : [routed]);
  const { all, shared } = envelopes;
  return {
    origin: session.origin!,
    ciphers: session.ciphers,
    sender: transaction.sender,
    messageId,
    eightBit: transaction.eightBit,
    ...(handling === null ? {} : { handling }),
    begunAt,
    durableAt,
    envelopes: all.slice(0, MAX_LISTED_PARTS).map(named),
    suppressed: shared.slice(0, MAX_LISTED_PARTS),
    routed: trees.slice(0, MAX_LISTED_TREES),
    filters,
    more: Math.max(0, all.length - MAX_LISTED_PARTS) + Math.max(0, shared.length - MAX_LISTED_PARTS) +
      Math.max(0, trees.length - MAX_LISTED_TREES),
  };
}

function named({ id, rcpt, dest, agent, action, user }: EnvelopeContent): AcceptedEnvelope {
  return user === undefined ? { id, rcpt, dest, agent, action } : { id, rcpt, dest, agent, action, user };
}
