/** Ids that tests write out: a text that is one, as the branded type that the code takes. */

import { type EnvelopeId, isEnvelopeId, isMessageId, type MessageId } from "../src/envelope/mod.ts";

/** The message id in `text`; throws when that is none. */
export function msgid(text: string): MessageId {
  if (isMessageId(text)) return text;
  throw new Error(`"${text}" is no message id`);
}

/** The envelope id in `text`; throws when that is none. */
export function evpid(text: string): EnvelopeId {
  if (isEnvelopeId(text)) return text;
  throw new Error(`"${text}" is no envelope id`);
}
