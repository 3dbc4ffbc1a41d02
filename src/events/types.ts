/**
 * Everything that is logged or counted: one typed event each. Log lines, metrics, `smtpctl monitor` and the admin page are readers of this
 * one stream; see log.ts for the line of each event. No event carries a secret or message content.
 */

import type {
  Acceptance,
  DsnContent,
  EnvelopeId,
  MailAuth,
  Mailbox,
  MessageId,
  Outcome,
  ReversePath,
  Routed,
  Status,
} from "../envelope/mod.ts";
import type {
  AcceptedEnvelope,
  AttemptDetail,
  ConnectionDetail,
  DialogueLine,
  MessageDetail,
  RefusalDetail,
} from "./detail.ts";
import type { ReplyClass } from "../reply_class/mod.ts";
import type { HistogramKey } from "./histograms.ts";
import type { CounterKey, GaugeKey } from "./metrics.ts";

export type LogLevel = "debug" | "info" | "warn" | "crit";

/** Subsystems of `smtpd -T` and `smtpctl trace`, each with lines of its own. */
export const TRACES = [
  "imsg",
  "io",
  "smtp",
  "mta",
  "bounce",
  "scheduler",
  "lookup",
  "stat",
  "rules",
  "mproc",
  "expand",
  "tables",
  "queue",
  "filters",
] as const;
export type Trace = typeof TRACES[number];

export type SmtpEvent =
  | {
    readonly type: "smtp-connected";
    readonly session: string;
    readonly address: string;
    readonly host: string;
    readonly family: "inet4" | "inet6" | "local";
    readonly smtps: boolean;
    /** While the history records. */
    readonly detail?: ConnectionDetail;
  }
  | { readonly type: "smtp-tls"; readonly session: string; readonly ciphers: string }
  /** The client showed a certificate. `unchecked`: the listener asks for none that it could trust. */
  | {
    readonly type: "smtp-cert-check";
    readonly session: string;
    readonly result: "verified" | "unchecked";
    readonly fingerprint: string;
  }
  | {
    readonly type: "smtp-authentication";
    readonly session: string;
    readonly user: string;
    readonly result: "ok" | "permfail" | "tempfail";
    /** While the history records: `PLAIN`, `LOGIN`, or `SCRAM-SHA-256`, with and without channel binding. */
    readonly mechanism?: string;
  }
  | {
    readonly type: "smtp-message";
    readonly session: string;
    readonly message: MessageId;
    readonly bytes: number;
    readonly rcpts: number;
    readonly proto: "ESMTP" | "SMTP";
    /** Of a message that was checked. */
    readonly mailAuth?: MailAuth;
    /** While the history records. */
    readonly detail?: MessageDetail;
  }
  | {
    readonly type: "smtp-envelope";
    readonly session: string;
    readonly envelope: EnvelopeId;
    readonly from: ReversePath;
    readonly to: Mailbox;
  }
  /** Header fields of DKIM stand in front of the message. */
  | {
    readonly type: "smtp-signed";
    readonly session: string;
    readonly message: MessageId;
    readonly domain: string;
    readonly selectors: readonly string[];
  }
  /** The message was to be signed: it goes without, or is `deferred` since that cannot be done now. */
  | {
    readonly type: "smtp-unsigned";
    readonly session: string;
    readonly message: MessageId;
    readonly deferred: boolean;
    readonly reason: string;
  }
  | {
    readonly type: "smtp-failed-command";
    readonly session:
      string; /** What was refused, without secrets; "" for a connection, or where there was no command. */
    readonly command: string;
    readonly reply: string; /** Of the client, as in `smtp-connected`. */
    readonly address: string;
    /** Of a message that was checked, and refused then. */
    readonly mailAuth?: MailAuth;
    /** What kind of refusal it is: control says so, while the history records. */
    readonly replyClass?: ReplyClass;
    readonly detail?: RefusalDetail;
  }
  | {
    readonly type: "smtp-bad-input";
    readonly session: string;
    readonly reply: string;
    readonly address: string;
    /** As in `smtp-failed-command`. */
    readonly replyClass?: ReplyClass;
    readonly detail?: RefusalDetail;
  }
  | {
    readonly type: "smtp-disconnected";
    readonly session: string;
    readonly reason: string;
    /** The client's, where the connection failed: who counts failed handshakes needs no other line. */
    readonly address?: string;
    /** It had been under TLS. */
    readonly tls: boolean;
    readonly smtps: boolean;
    readonly local: boolean;
  };

export type RelayEvent =
  | {
    readonly type: "relay-connecting";
    readonly session: string; /** smtp://IP:PORT and the like */
    readonly address: string;
    readonly host: string;
  }
  | { readonly type: "relay-connected"; readonly session: string }
  | { readonly type: "relay-tls"; readonly session: string; readonly ciphers: string }
  | {
    readonly type: "relay-cert-check";
    readonly session: string;
    readonly result: "valid" | "unverified";
    readonly fingerprint: string;
  }
  | { readonly type: "relay-error"; readonly session: string; readonly reason: string }
  | {
    readonly type: "relay-disconnected";
    readonly session: string;
    readonly reason: string;
    readonly messages: number;
  };

/** One finished attempt; written as `mta delivery` or `mda delivery`. */
export interface DeliveryEvent {
  readonly type: "delivery";
  readonly agent: "mta" | "mda";
  readonly session: string;
  readonly envelope: EnvelopeId;
  readonly from: ReversePath;
  readonly to: Mailbox;
  readonly rcpt: Mailbox;
  readonly delayMs: number;
  readonly outcome: Outcome["result"];
  /** The whole text of `stat=`. */
  readonly stat: string;
  /** mta only: local address or "-"; and `IP (PTR)` or the domain. */
  readonly source?: string;
  readonly relay?: string;
  /** mda only. */
  readonly user?: string;
  /** Its line comes behind that of the message. */
  readonly accepted?: Acceptance;
  /** What kind of failure it is: control says so. Absent when it went well. */
  readonly replyClass?: ReplyClass;
  /** While the history records. */
  readonly detail?: AttemptDetail;
}

export interface QueueEvent {
  readonly type: "queue-expire" | "queue-remove";
  readonly agent: "mta" | "mda" | "bounce";
  readonly envelope: EnvelopeId;
  readonly from: ReversePath;
  readonly to: Mailbox;
  readonly rcpt: Mailbox;
  readonly delayMs: number;
  readonly stat: string;
}

/** As of smtp, for a notice. */
export type NoticeEvent =
  | {
    readonly type: "queue-signed";
    readonly message: MessageId;
    readonly domain: string;
    readonly selectors: readonly string[];
  }
  | {
    readonly type: "queue-unsigned";
    readonly message: MessageId;
    readonly deferred: boolean;
    readonly reason: string;
  };

/** A notice (RFC 3464) about a message: what is to be written, what was written, and what cannot be. They have no line. Emitted while the history records. */
export type DsnEvent =
  /** The queue has put a request for a notice in the place of an envelope that failed, or beside one that waits. */
  | {
    readonly type: "queue-dsn-asked";
    /** What it is about. */
    readonly envelope: EnvelopeId;
    /** The request, an envelope of the same message. */
    readonly request: EnvelopeId;
    readonly kind: DsnContent["kind"];
    readonly rcpt: Mailbox;
    readonly status: Status;
  }
  /** A notice is on stable storage: a message of its own. */
  | {
    readonly type: "queue-dsn-written";
    /** The message that it is about, and the requests that it settles. */
    readonly message: MessageId;
    readonly requests: readonly EnvelopeId[];
    readonly kind: DsnContent["kind"];
    /** The recipients that it is about. */
    readonly rcpts: readonly Mailbox[];
    /** The notice itself. */
    readonly dsn: MessageId;
    readonly to: Mailbox;
    readonly bytes: number;
    readonly envelopes: readonly AcceptedEnvelope[];
    readonly routed?: Routed;
  }
  /** There is no notice: nobody wants one, or it can go nowhere. */
  | {
    readonly type: "queue-dsn-dropped";
    /** What it would have been about, or the request. */
    readonly envelope: EnvelopeId;
    readonly reason: string;
  };

/** A message has come into the queue without a client. Has no line. Emitted while the history records. */
export interface QueueMessageEvent {
  readonly type: "queue-message";
  readonly message: MessageId;
  /** `import`: it lay as files in the spool, for `smtpctl import` or `discover`; `report`: this host has written it, a report of DMARC. */
  readonly how: "import" | "report";
  readonly from: ReversePath;
  readonly bytes: number;
  /** The first MAX_LISTED_PARTS of them. */
  readonly envelopes: readonly AcceptedEnvelope[];
  /** Envelopes that are left out. */
  readonly more: number;
}

/** The last lines that client and server of a session exchanged before it went wrong. Has no line. Emitted while the history records. */
export interface DialogueEvent {
  readonly type: "dialogue";
  readonly session: string;
  /** Who is the client: the peer (`in`), or this server (`out`). */
  readonly side: "in" | "out";
  /** The message that a transaction of ours was about. */
  readonly message?: MessageId;
  readonly lines: readonly DialogueLine[];
  /** Lines before these that are gone. */
  readonly before: number;
}

/** A change of a statistic of `smtpctl show stats`: `by` adds to a counter, `to` sets a gauge. */
export type StatEvent =
  | { readonly type: "count"; readonly key: CounterKey; readonly by: number }
  | { readonly type: "gauge"; readonly key: GaugeKey; readonly to: number }
  /** What was counted in the buckets of a distribution since the last report. */
  | {
    readonly type: "histogram";
    readonly key: HistogramKey;
    readonly counts: readonly number[];
    readonly sum: number;
  };

export type TextEvent =
  | { readonly type: "log"; readonly level: LogLevel; readonly text: string }
  | { readonly type: "trace"; readonly trace: Trace; readonly text: string };

/** Has no line: all events of messages that were committed under this number or a smaller one have been reported. */
export interface CommittedEvent {
  readonly type: "smtp-committed";
  readonly number: number;
}

/** What an act of an administrator may be. */
export const ADMIN_ACTS = [
  "hold",
  "release",
  "retry",
  "remove",
  "pause",
  "resume",
  "login",
  "login-refused",
  "logout",
  "token-made",
  "token-revoked",
] as const;

/** Someone did something by smtpctl, the admin page or its API. Control itself reports it. */
export interface AdminActEvent {
  readonly type: "admin-act";
  /** `smtpctl`, with `:UID` behind it where that is not root; or `admin:NAME` with the name of the token; `admin:-` for nobody. */
  readonly by: string;
  readonly act: typeof ADMIN_ACTS[number];
  /** To what it was done, where that is one. */
  readonly envelope?: EnvelopeId;
  readonly message?: MessageId;
  /** What else it was done to: a domain, a subsystem, a token; or where the request came from. */
  readonly what?: string;
  /** Envelopes that it changed. */
  readonly count?: number;
}

export type Event =
  | AdminActEvent
  | SmtpEvent
  | CommittedEvent
  | RelayEvent
  | DeliveryEvent
  | QueueEvent
  | NoticeEvent
  | DsnEvent
  | QueueMessageEvent
  | DialogueEvent
  | StatEvent
  | TextEvent;

/** Where an isolate reports events; src/isolate gives every isolate one. */
export type EmitEvent = (event: Event) => void;
