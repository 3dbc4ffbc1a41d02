/** How a dialogue ends before its time. */

import { formatReply, type Reply } from "./reply.ts";

/** connect: no connection. timeout: the peer said nothing in time. closed: it hung up. protocol: it broke the rules. refused: a reply. */
export type ClientErrorKind = "connect" | "timeout" | "closed" | "protocol" | "tls" | "refused";

/** The connection cannot be used any more (all kinds but "refused"), or a step was refused. The message is fit for `stat=`. */
export class ClientError extends Error {
  readonly kind: ClientErrorKind;
  /** What the server said that refused the step, or with which it left; null when it said nothing. */
  readonly reply: Reply | null;
  /** Replies of the group that had come before the end. */
  readonly partial: readonly Reply[];

  constructor(kind: ClientErrorKind, message: string, reply: Reply | null = null, partial: readonly Reply[] = []) {
    super(message);
    this.name = "ClientError";
    this.kind = kind;
    this.reply = reply;
    this.partial = partial;
  }
}

/** The server refused a step of the dialogue with this reply. */
export function refusedBy(reply: Reply): ClientError {
  return new ClientError("refused", formatReply(reply), reply);
}
