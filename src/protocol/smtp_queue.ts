/** What is said between smtp and the queue about a message on its way in. Types, limits and checks only. */

import type { EnvelopeContent, MessageId } from "../envelope/mod.ts";
import type { DmarcResult } from "../mail_auth/dmarc_report/mod.ts";
import {
  amount,
  buffer,
  flag,
  list,
  MAX_BUFFER_OCTETS,
  type MessageTable,
  octets,
  optional,
  text,
  whole,
} from "./check.ts";
import { dmarcResult } from "./dmarc.ts";
import { door } from "./door.ts";
import { envelopeContent, messageId } from "./shapes.ts";

/**
 * A message on its way in. Lines end with LF and are not dot-stuffed. `chunk`s are sent only while there is credit, but for one just before
 * the `commit`; a small message is one `commit` with the whole body as `tail`.
 */
export type SmtpToQueue =
  | {
    readonly type: "chunk";
    readonly message: MessageId;
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** With the first chunk: the commit may have a `front`, for which a place is kept. */
    readonly frontFollows?: boolean;
  }
  | {
    readonly type: "commit";
    readonly message: MessageId;
    /** Header fields that were known only now. They stand before the first chunk, which said that they may follow, or before the tail. */
    readonly front?: Uint8Array<ArrayBuffer>;
    readonly tail: Uint8Array<ArrayBuffer>;
    readonly envelopes: readonly EnvelopeContent[];
  }
  | { readonly type: "abort"; readonly message: MessageId }
  /** A message was checked, and accepted or refused: it counts for a report. Sent only where reports are configured. */
  | { readonly type: "dmarc-result"; readonly result: DmarcResult }
  /** All ids are with sessions whose messages are still coming in: more are needed. */
  | { readonly type: "ids-wanted" };

export type QueueToSmtp =
  /** Message ids that are free and reserved for this isolate. Sent at start, before they are used up, and on request. */
  | { readonly type: "ids"; readonly ids: readonly MessageId[] }
  /**
   * One more `chunk` of this message may be sent. A session starts with CHUNK_CREDIT of them. `spent` is the buffer of the chunk that was
   * written, transferred back to be filled again: buffers that are dropped pile up until the collector comes.
   */
  | { readonly type: "credit"; readonly message: MessageId; readonly spent?: ArrayBuffer }
  /** It is on stable storage. Only now may the client see 250. */
  | { readonly type: "committed"; readonly message: MessageId; /** It only grows. */ readonly number: number }
  /** So large a message can be stored now; 0 is none, Infinity no bound, which holds until something else is said. */
  | { readonly type: "room"; readonly bytes: number }
  /** Nothing of it is kept. `code` and `text` make the reply, as in 452 "4.3.1 …". */
  | { readonly type: "refused"; readonly message: MessageId; readonly code: number; readonly text: string };

/** Bytes of body that fill a chunk, and how many chunks a session may have on the way. */
export const CHUNK_BYTES = 256 * 1024;
export const CHUNK_CREDIT = 2;
/** Octets of what stands in front of a message at most. */
export const MAX_FRONT_OCTETS = 64 * 1024;

/** Envelopes of one message at most: recipients of a transaction times what aliases may make of each. More than one recipient can have. */
export const MAX_MESSAGE_ENVELOPES = 100_000;

const SMTP_TO_QUEUE: MessageTable<SmtpToQueue> = {
  chunk: { message: messageId, bytes: octets(CHUNK_BYTES), frontFollows: optional(flag) },
  commit: {
    message: messageId,
    front: optional(octets(MAX_FRONT_OCTETS)),
    tail: octets(CHUNK_BYTES),
    envelopes: list(envelopeContent, MAX_MESSAGE_ENVELOPES),
  },
  abort: { message: messageId },
  "dmarc-result": { result: dmarcResult },
  "ids-wanted": {},
};

// What comes back as spent is what the chunk was a view of, perhaps of what a filter has said.
const QUEUE_TO_SMTP: MessageTable<QueueToSmtp> = {
  ids: { ids: list(messageId) },
  credit: { message: messageId, spent: optional(buffer(MAX_BUFFER_OCTETS)) },
  committed: { message: messageId, number: whole() },
  room: { bytes: amount },
  refused: { message: messageId, code: whole({ least: 400, most: 599 }), text: text() },
};

export const SMTP_QUEUE = door<SmtpToQueue, QueueToSmtp>(SMTP_TO_QUEUE, QUEUE_TO_SMTP, {});
