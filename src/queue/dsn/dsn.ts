/** What a DSN is made from; its text is put together in compose.ts. */

import type { Charset, DsnContent, DsnParameters, Handling, Mailbox } from "../../envelope/mod.ts";

/** A recipient that a DSN is about. */
export interface DsnRecipient {
  readonly dest: Mailbox;
  /** ORCPT as the client sent it, "" for none. */
  readonly orcpt: string;
  readonly text: string;
  readonly status: DsnContent["status"];
  /** Name of the host that said so, or that it failed at; "" or absent when there is none. */
  readonly remote?: string;
}

/** What a DSN says, of one kind and to one sender. */
export interface Dsn {
  readonly kind: DsnContent["kind"];
  /** Failed because the time of the message is over. */
  readonly expired?: boolean;
  /** Name of this server to the outside. */
  readonly smtpname: string;
  /** The sender of the original, who gets this. */
  readonly to: Mailbox;
  readonly recipients: readonly DsnRecipient[];
  readonly envid: DsnParameters["envid"];
  readonly delaySeconds: number;
  readonly ttlSeconds: number;
  /** ms since the epoch. */
  readonly now: number;
  /** Random, so that no message can contain it by intention. */
  readonly boundary: string;
  readonly messageId: string;
  /** The original, or its header section only. */
  readonly original: Uint8Array;
  readonly complete: boolean;
  /** Of the original. */
  readonly handling?: Handling;
}

/** RFC 6533: what is said to those who sent the original with SMTPUTF8 may have more than ASCII. */
export function charsetOf({ handling }: Pick<Dsn, "handling">): Charset {
  return handling?.smtpUtf8 ? "utf-8" : "us-ascii";
}
