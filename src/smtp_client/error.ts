/** How a dialogue ends before its time. */

import { formatReply, type Reply } from "./reply.ts";

/** connect: no connection. timeout: the peer sent nothing in time. closed: it hung up. protocol: it broke the rules. refused: a reply. */
export type ClientErrorKind = "connect" | "timeout" | "closed" | "protocol" | "tls" | "refused";

/** The connection cannot be used any more (all kinds but "refused"), or a step was refused. The message is fit for `stat=`. */
export class ClientError extends Error {
  readonly kind: ClientErrorKind;
  /** The reply that refused the step, or with which the server closed; null when it sent none. */
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

/**
 * Takes how a dialogue ended for which there is no reply, and returns the code of RFC 3463 (§3.5 to §3.8) for it, of class 4: whether it is final the
 * caller says.
 */
export function codeOfFailure({ kind }: ClientError): string {
  switch (kind) {
    case "connect":
    case "timeout":
      return "4.4.1";
    case "closed":
      return "4.4.2";
    case "protocol":
      return "4.5.0";
    case "tls":
      return "4.7.5";
    case "refused":
      // We refuse: the host lacks what the configuration asks for.
      return "4.7.4";
    default:
      return kind satisfies never;
  }
}
