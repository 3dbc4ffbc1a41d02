/** What is to be done for one envelope, as data: which writer, and where; or the outcome without an attempt. See planner.ts. */

import type { DeliveryEnd } from "./methods/sysexits.ts";

/** Where an LMTP server listens. */
export type LmtpEndpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export type Plan =
  | {
    readonly kind: "maildir";
    readonly directory: string;
    readonly junk: boolean; /** Sub-folder to use if it is there, "" for none. */
    readonly extension: string;
  }
  /** The system mailbox of an account. `from` stands in its From_ line. */
  | { readonly kind: "mbox"; readonly path: string; readonly from: string }
  /** A file target of an alias; one with a slash at its end is a Maildir. */
  | { readonly kind: "file"; readonly path: string; readonly from: string }
  | { readonly kind: "lmtp"; readonly to: LmtpEndpoint; readonly recipient: string }
  | {
    readonly kind: "command";
    readonly command: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly directory: string;
    /** The system mailbox that the command may write to, "" for none. */
    readonly mailbox: string;
  }
  | { readonly kind: "refused"; readonly end: DeliveryEnd };
