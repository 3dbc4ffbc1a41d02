/** What the statements of the queue's database are asked for: rows before the first and behind the last, and ranges of them. */

import type { EnvelopeNumber, EnvelopeRow, MessageNumber } from "../../envelope/mod.ts";

/** Before the first and behind the last of all ids. */
export const FIRST_ROW: EnvelopeRow = { message: 0 as MessageNumber, envelope: 0 as EnvelopeNumber };
export const LAST_MESSAGE = 2 ** 32 - 1 as MessageNumber;
export const LAST_ENVELOPE = 2 ** 32 - 1 as EnvelopeNumber;

/** Octets of a message's text, and the chunks that it lies in. */
export interface StoredMessage {
  readonly bytes: number;
  readonly chunks: number;
}

/** Envelopes behind `after`, none of a message above `last`. */
export interface EnvelopeRange {
  readonly after: EnvelopeRow;
  readonly last: MessageNumber;
}

/** Messages from `first` to `last`. */
export interface MessageRange {
  readonly first: MessageNumber;
  readonly last: MessageNumber;
}

/** The whole of a message, as the table of what is damaged has it. */
export function wholeMessage(message: MessageNumber): EnvelopeRow {
  return { message, envelope: 0 as EnvelopeNumber };
}

/** Envelopes behind `after`, none of a message above `end`: with `fresh` those that were never tried, without it the others. */
export interface TicketRange {
  readonly after: EnvelopeRow;
  readonly end: MessageNumber;
  readonly fresh: boolean;
}
