/** Envelope of one queued message: who it is from, where this copy goes, how delivery went so far. Independent of storage; see src/queue. */

import type { Mailbox, ReversePath } from "./address.ts";
import type { EnvelopeId } from "./ids.ts";
import type { MailAuth } from "./mail_auth.ts";

/**
 * What delivers it, in the words of OpenSMTPD's envelopes, which are stored and exported: a local delivery (mda, the role delivery), a relay to
 * another host (mta, the role relay), or the writer of DSNs (bounce, in the queue). `AGENT_NAMES` of src/events has the names for the log.
 */
export type Agent = "mda" | "mta" | "bounce";

/** DSN parameters of RFC 3461, kept for each recipient. */
export interface DsnParameters {
  /** Bits of `notify` below; 0 when the client said nothing. */
  readonly notify: number;
  readonly ret: "FULL" | "HDRS" | "";
  readonly envid: string;
  readonly orcpt: string;
}
export const NOTIFY = { SUCCESS: 1, FAILURE: 2, DELAY: 4, NEVER: 8 } as const;
export const NO_DSN: DsnParameters = { notify: 0, ret: "", envid: "", orcpt: "" };

/** What a message asks of the servers that pass it on. Absent means no. */
export interface Handling {
  /** It was given with SMTPUTF8, RFC 6531. */
  readonly smtpUtf8?: true;
  /** And its header section does hold something beyond ASCII, RFC 6532. */
  readonly utf8Header?: true;
  /** REQUIRETLS, RFC 8689 §2: by verified TLS to servers that promise the same, or not at all. */
  readonly requireTls?: true;
  /** `TLS-Required: No`, RFC 8689 §3: the sender prefers delivery to privacy. Never set together with requireTls. */
  readonly tlsOptional?: true;
}

/** What the session knew when it accepted the message. */
export interface Origin {
  /** `local` for the socket, else an IPv4 address or a bracketed IPv6 address. */
  readonly address: string;
  /** Reverse DNS name of the client, `<unknown>` when it has none. */
  readonly hostname: string;
  /** It is not known whether it has a name: name servers failed. Asked of lookup, and not stored. */
  readonly hostnameUnsure?: true;
  readonly helo: string;
  /** Name this server used in its banner. */
  readonly smtpname: string;
  /** Tag of the listener, "" for none. */
  readonly tag: string;
  /** Login name, "" when not authenticated (local submissions are authenticated without one). */
  readonly username: string;
  readonly authenticated: boolean;
}

/**
 * What distinguishes deliveries of one message that have action, user and command in common; those that nothing distinguishes are one. `address`: the
 * addresses, whatever their case; `spelling`: each octet of them.
 */
export type OncePer = "sub-address" | "address" | "spelling";

/** Where one expanded recipient goes. The rules decide it once, during RCPT. */
export type Deliverable =
  | {
    readonly agent: "mda";
    readonly action: string;
    readonly dest: Mailbox;
    /** Local account (lower-case, without sub-address). */
    readonly user: string;
    /** What stood behind the delimiter in `user+tag`, "" for none. */
    readonly subAddress: string;
    /**
     * What an alias names instead of a mailbox: a shell command, or with `>` in front the absolute path of a file to append to in mbox
     * format, of a Maildir if a slash ends it. "" for the action's own method.
     */
    readonly exec: string;
    /** By which lookup shows the queue that it has decided so; see src/mac/envelope_mac.ts. Rules make none. */
    readonly mac?: string;
    /** Absent: nothing distinguishes it. Known until the envelopes are made only. */
    readonly oncePer?: OncePer;
  }
  | { readonly agent: "mta"; readonly action: string; readonly dest: Mailbox; readonly mac?: string };

/** Enhanced status code, RFC 3463: class 2, 4 or 5; `code` is "subject.detail", as in "4.7". */
export interface Status {
  readonly class: 2 | 4 | 5;
  readonly code: string;
}

/** What never changes about an envelope once it is queued. */
export interface EnvelopeContent {
  readonly id: EnvelopeId;
  readonly sender: ReversePath;
  /** The recipient of the RCPT command. */
  readonly rcpt: Mailbox;
  /** The recipient after expansion. */
  readonly dest: Mailbox;
  readonly origin: Origin;
  readonly dsn: DsnParameters;
  /** Name of the action in smtpd.conf; "" when it asks for a DSN. */
  readonly action: string;
  readonly agent: Agent;
  /** Made by expansion, or by the daemon itself: rules see it as local. */
  readonly internal: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly user?: string;
  readonly subAddress?: string;
  readonly exec?: string;
  /** That of the Deliverable, on its way from smtp to queue only. */
  readonly mac?: string;
  readonly bounce?: DsnContent;
  /** Of the message, the same in all its envelopes. */
  readonly handling?: Handling;
  /** Of a message that was checked, the same in all its envelopes. */
  readonly mailAuth?: MailAuth;
}

/** An envelope of agent "bounce" asks for a DSN (RFC 3464) about the envelope whose other fields it copies. */
export interface DsnContent {
  readonly kind: "failed" | "delayed" | "delivered" | "relayed";
  /** Text shown for the recipient, usually the server's last reply. */
  readonly text: string;
  readonly status: Status;
  /** Name of the host that it failed at, for Remote-MTA. */
  readonly remote?: string;
  /** The time of the envelope is over; `text` and `status` are of the last attempt. */
  readonly expired?: true;
  /** Age at which a DSN of delay is sent, and how long the message is kept, in seconds. */
  readonly delaySeconds?: number;
  readonly ttlSeconds: number;
}

/** What delivery attempts change. */
export interface EnvelopeState {
  tries: number;
  /** Milliseconds since the epoch, 0 for never. */
  lastTryAt: number;
  lastBounceAt: number;
  errorLine: string;
  status: Status | null;
  /** Name of the host that the last attempt failed at; "" or absent when it is not known. */
  remote?: string;
  suspended: boolean;
}

/** How the log recognises that an smtp isolate has reported all of a message: by the number that the queue gave it when it was committed. */
export interface Acceptance {
  readonly isolate: number;
  /** Which of the isolates that ran in its place, one after the other. */
  readonly life: number;
  readonly number: number;
}

export interface Envelope extends EnvelopeContent, EnvelopeState {
  /** Of a message that was accepted in this run of the daemon, on its way to relay and delivery. */
  readonly accepted?: Acceptance;
}

/** How one attempt to deliver one envelope ended. */
export type Outcome =
  | {
    readonly result: "ok";
    readonly text: string; /** The next hop takes over DSN duties. */
    readonly dsnRelayed?: boolean;
  }
  | {
    readonly result: "tempfail" | "permfail" | "loop";
    readonly text: string;
    readonly status: Status;
    /** Name of the host that it failed at. */
    readonly remote?: string;
  };
