/** What becomes of the recipients of a transaction by the replies of its server. Pure. */

import { systemReason } from "../events/mod.ts";
import { ClientError } from "./error.ts";
import { formatReply, type Reply } from "./reply.ts";
import { TOO_MANY_CODE } from "./too_many.ts";

/** What became of one recipient. `text` is the server's whole reply, or the reason found here. */
export interface RecipientResult {
  readonly outcome: "ok" | "tempfail" | "permfail";
  readonly text: string;
  /** null when the reason was found here. */
  readonly reply: Reply | null;
  /** An enhanced code for a reason that was found here, as in `5.6.7`, or in place of the reply's. */
  readonly enhanced?: string;
  /** The last step that this recipient took; EOM is the end of the data. */
  readonly stage: Stage;
  /**
   * It may be tried once more without waiting: in another transaction with this server; in another session with it, when this session has had
   * its share; or, where this server ended the session before it decided, with another one. The outcome is for those that are not tried again.
   */
  readonly again?: "here" | "reconnect" | "elsewhere";
}

export type Stage = "MAIL" | "RCPT" | "DATA" | "EOM";

export interface TransactionResult {
  /** One for each recipient, at the same index. */
  readonly recipients: readonly RecipientResult[];
  /** Not null: the connection is closed, or the server has replied that it will close it (421). */
  readonly error: ClientError | null;
  /** The server refused so many recipients in a row that the session should end. */
  readonly exhausted: boolean;
  /** Recipients that RCPT accepted, whatever came of the data. */
  readonly accepted: number;
  /** How many recipients the server takes in one transaction, where its replies say so; else null. */
  readonly rcptMax: number | null;
  /** False when the connection broke before the first reply: nothing was tried, another connection may do better at once. */
  readonly answered: boolean;
}

/** No code of a server: stands where a reply did not come. */
export const NO_REPLY = 0;
/** For a recipient that this server has not decided about. */
export const ELSEWHERE = { again: "elsewhere" } as const;

/** 2xx is done, 5xx is final, everything else (4xx, and what makes no sense here) is worth another try. */
export function outcomeOf(reply: Reply): RecipientResult["outcome"] {
  return reply.code >= 200 && reply.code < 300 ? "ok" : reply.code >= 500 ? "permfail" : "tempfail";
}

/** The result of a recipient that this reply, or its absence, refused at `stage`. What should have been 5xx or 4xx and is not, is temporary. */
export function failure(reply: Reply, stage: Stage): RecipientResult {
  const outcome = outcomeOf(reply);
  if (reply.code === NO_REPLY) return { outcome: "tempfail", text: reply.text, reply: null, stage };
  return { outcome: outcome === "ok" ? "tempfail" : outcome, text: formatReply(reply), reply, stage };
}

/** A refusal for the number of recipients is never final, whatever its code. */
export function tooManyFailure(reply: Reply, stage: Stage): RecipientResult {
  return { ...failure(reply, stage), outcome: "tempfail", enhanced: TOO_MANY_CODE };
}

/** What was thrown in the middle of a dialogue, as an error of it. */
export function asClientError(error: unknown): ClientError {
  if (error instanceof ClientError) return error;
  return new ClientError("closed", systemReason(error));
}

/** Stands for a reply that did not come. */
export function lost(error: ClientError): Reply {
  return { code: NO_REPLY, text: error.message, lines: [] };
}
