/** The slice of the configuration that each role gets in its start message, and nothing else. Made by src/cli/smtpd from the Config. */

import type { Mailbox } from "../envelope/mod.ts";
import type { SrsKeys } from "../mac/mod.ts";
import type {
  AcmeOrder,
  Action,
  AdminListener,
  FilterStep,
  HistoryPolicy,
  LimitsFor,
  ListenOptions,
  LocalAction,
  RelayAction,
  RelayLimits,
  Rule,
  SourceLine,
  SpoolReserve,
  StaticTable,
  TableFile,
  TableProgram,
} from "../config/mod.ts";
import type { FilterSubsystem } from "./filters.ts";
import type { SigningAlgorithm } from "./signer.ts";

export type { FilterStep, SpoolReserve, TableProgram } from "../config/mod.ts";

/** A listener with its address resolved; sessions name it by index. Its `pki` and `ca` are names of SmtpSettings, its `filter` too. */
export interface Listener extends ListenOptions {
  readonly id: number;
  /** Where smtpd.conf has it; absent for what is not written there. */
  readonly at?: SourceLine;
  /** IPv4, bare IPv6, or the path of the socket. */
  readonly address: string;
  readonly port: number;
  /** The socket, or exactly 127.0.0.1 or ::1. */
  readonly local: boolean;
  readonly socket: boolean;
  /** Banner name. */
  readonly hostname: string;
}

/** PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** By the names of smtpd.conf. */
export interface Certificates {
  readonly pki: Readonly<Record<string, KeyPair>>;
  /** PEM bundles. */
  readonly ca: Readonly<Record<string, string>>;
}

/** Common to all: workers cannot read the environment, the host name or the time zone. */
export interface SharedSettings {
  readonly serverName: string;
  readonly version: string;
  /** Zone of trace dates: IANA name for Intl, from the environment of main. */
  readonly timeZone: string;
  readonly root: boolean;
  /** Events are recorded for the history: see `recording` of isolates. Not given to those that report nothing, and to filter isolates. */
  readonly recording?: true;
}

/** A key of DKIM as those know it who have messages signed with it: all but the key. */
export interface SigningKeyName {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: SigningAlgorithm;
  /** Lower-case names of the fields that are signed; null for the usual ones. */
  readonly headers: readonly string[] | null;
  /** How long a signature is good; null for ever. */
  readonly expireSeconds: number | null;
}

/** A private key as PEM text. Secret: main and the signer isolate have it, no log and no trace shows it. */
export interface SigningKey extends Pick<SigningKeyName, "domain" | "selector"> {
  readonly key: string;
}

export interface SmtpSettings extends LimitsFor<"smtp", "smtp"> {
  readonly shared: SharedSettings;
  readonly listeners: readonly Listener[];
  readonly pki: Readonly<Record<string, KeyPair>>;
  readonly ca: Readonly<Record<string, string>>;
  readonly maxMessageBytes: number;
  /** How long the banner is held back to see who speaks before it; 0: not at all. */
  readonly bannerDelayMs: number;
  /** Networks that neither the limits of one client nor the delay are for. */
  readonly trusted: readonly string[];
  readonly idleTimeoutMs: number;
  /** Whom reports of DMARC are from: what comes for this address alone is in none. Absent: nothing is counted. */
  readonly dmarcReports?: Mailbox;
  /** Rules look at what messages were found to be: recipients are decided about anew at the end of a message. */
  readonly rulesSeeMailAuth?: boolean;
  /** Filters of the listeners: their steps in order. */
  readonly filters?: Readonly<Record<string, readonly FilterStep[]>>;
  /** Indexes of the filter isolates that have the processes of these filters, where that is not 0. */
  readonly filterIsolates?: Readonly<Record<string, number>>;
  /** Refusals name an id at the end of their text, by which the history has them. */
  readonly refs?: true;
  /** Keys that sign now: those of one domain in the order of their signatures. Absent: none. */
  readonly signing?: readonly SigningKeyName[];
}

export interface LookupSettings {
  readonly shared: SharedSettings;
  readonly tables: Readonly<Record<string, StaticTable>>;
  /** Tables that it reads from their files. */
  readonly tableFiles: Readonly<Record<string, TableFile>>;
  /** Files of tables that main reads for it: its user cannot. */
  readonly closedFiles?: readonly string[];
  /** Names of the tables that the filter isolate answers for. */
  readonly programTables: readonly string[];
  /** Indexes of the filter isolates that have their programs, where that is not 0. */
  readonly programIsolates?: Readonly<Record<string, number>>;
  /** Tables that listeners ask for AUTH, null for the accounts of the system: passwords are verified against no others. */
  readonly authTables: readonly (string | null)[];
  /** Secret and lasting: what the salts of users who do not exist are made from (RFC 5802 §9). */
  readonly saltKey: Uint8Array;
  /** Tables that filters and checks of mail test things against: sessions can ask about no others. */
  readonly filterTables?: readonly string[];
  /** True where listeners check what comes in: sessions may ask the DNS. */
  readonly answersDns?: boolean;
  /** Tables of the listeners' `senders` and `hostnames`: an smtp isolate gets no others. */
  readonly senderTables: readonly string[];
  readonly hostnameTables: readonly string[];
  readonly rules: readonly Rule[];
  readonly actions: Readonly<Record<string, Action>>;
  readonly subAddressDelimiter: string;
  /** Text of every local interface address: IPv4 dotted, IPv6 in brackets. */
  readonly localAddresses: readonly string[];
  /** Shared with the queue: makes the MACs of the envelopes that expansion decides. */
  readonly envelopeMacKey: Uint8Array;
  /** Shared with the signer: makes the MACs of messages that may be signed. Absent: none are. */
  readonly signingMacKey?: Uint8Array;
  /** Absent: no address is rewritten. */
  readonly srs?: SrsKeys;
  /** User that commands and files of alias tables run as. */
  readonly commandUser: string;
  readonly resolver: ResolverSettings;
}

/** From resolv.conf(5) and hosts(5); `servers` are "ip:port" or "[ip6]:port". */
export interface ResolverSettings {
  readonly servers: readonly { readonly address: string; readonly port: number }[];
  readonly timeoutMs: number;
  readonly attempts: number;
  /** Lines of the hosts file. */
  readonly hosts: ReadonlyArray<{ readonly address: string; readonly names: readonly string[] }>;
}

/** What stored mail is encrypted with: keys of 32 octets. Secret: no log, no trace and no listing shows them. */
export interface QueueKeys {
  /** Null: new mail is not encrypted. */
  readonly current: Uint8Array<ArrayBuffer> | null;
  /** What was encrypted with these before stays readable. */
  readonly old: readonly Uint8Array<ArrayBuffer>[];
}

/** Aggregate reports of DMARC that this host sends. */
export interface DmarcReportSettings {
  /** Whom they are from. */
  readonly from: Mailbox;
  /** Name of this host. */
  readonly host: string;
}

export interface QueueSettings {
  readonly shared: SharedSettings;
  readonly reserve: SpoolReserve;
  /** Bodies are compressed. */
  readonly compression: boolean;
  /** Null: nothing is encrypted. */
  readonly recordKeys: QueueKeys | null;
  /** Folder of the database. */
  readonly spool: string;
  readonly ttlSeconds: number;
  /** `ttl` of the actions that have one. Its keys are the actions that exist. */
  readonly actionTtlSeconds: Readonly<Record<string, number | null>>;
  readonly warnIntervalsSeconds: readonly number[];
  /** Shared with lookup: an envelope must carry the MAC of its decision. */
  readonly envelopeMacKey: Uint8Array;
  /** Shared with the scheduler: relay and delivery open only what they have a job for. */
  readonly jobMacKey: Uint8Array;
  /** As in the settings of smtp, for notices. */
  readonly signing?: readonly SigningKeyName[];
  /** Absent: none are sent. */
  readonly dmarcReports?: DmarcReportSettings;
}

/** A key that had as many jobs as may run (`hiwat`) gets `release` more each time there are no more than `lowat`; 0 is all. */
export interface TaskMarks {
  readonly hiwat: number;
  readonly lowat: number;
  readonly release: number;
}

/** Without them, a job goes whenever another one has ended. `domains`: destinations with marks of their own. */
export interface SchedulerMarks {
  readonly mda: Omit<TaskMarks, "hiwat">;
  readonly mta: Omit<TaskMarks, "hiwat">;
  readonly domains: Readonly<Record<string, TaskMarks>>;
}

export interface SchedulerSettings extends LimitsFor<"scheduler", "scheduler"> {
  readonly shared: SharedSettings;
  /** Shared with the queue: makes the MACs of jobs. */
  readonly jobMacKey: Uint8Array;
  /** Jobs of one key (local user, destination domain) that may run at once; more are held. */
  readonly maxPerUser: number;
  readonly maxPerDestination: number;
  readonly marks?: SchedulerMarks;
  /** Relay actions with a smarthost that is the same for all domains. */
  readonly smarthostActions?: readonly string[];
  readonly paused: { readonly mda: boolean; readonly mta: boolean };
}

export interface RelaySettings {
  readonly shared: SharedSettings;
  /** Envelopes of one domain that are remembered because no route to it was left. */
  readonly maxDeferred: number;
  readonly actions: Readonly<Record<string, RelayAction>>;
  readonly pki: Readonly<Record<string, KeyPair>>;
  readonly ca: Readonly<Record<string, string>>;
  readonly limits: RelayLimits;
  readonly domainLimits: Readonly<Record<string, RelayLimits>>;
  /** Processes behind the filter of each action that has one. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** As in the settings of smtp. */
  readonly filterIsolates?: Readonly<Record<string, number>>;
  /** Absent: no address is rewritten. */
  readonly srs?: SrsKeys;
  readonly resolver: ResolverSettings;
  readonly own: OwnSettings;
}

/** What this host is called and where it listens, besides the addresses of its interfaces. */
export interface OwnSettings {
  readonly names: readonly string[];
  /** IPv4 or bare IPv6 addresses. */
  readonly listeners: readonly { readonly address: string; readonly port: number }[];
}

export interface DeliverySettings extends LimitsFor<"mda", "delivery"> {
  readonly shared: SharedSettings;
  readonly actions: Readonly<Record<string, LocalAction>>;
  readonly subAddressDelimiter: string;
  /** Folder of system mailboxes (mbox), /var/mail unless SMTPD_MAIL says otherwise. */
  readonly mailDirectory: string;
  /** PATH for commands. */
  readonly path: string;
  /** Folder of mail.maildir and its like: what a wrapper runs in the place of a built-in delivery. */
  readonly helpers: string;
  /** Uid that the daemon runs as: without root, only this user can be delivered to. */
  readonly uid: number;
  readonly gid: number;
  /** Uid of the user to whom the spool belongs, where that is a user of its own: nothing is delivered as this one. */
  readonly queueUid?: number;
}

/** A program of filters, ready to be started. */
export interface FilterProgram {
  /** Key in FilterStep.process. */
  readonly process: string;
  /** In the log and in reports. */
  readonly name: string;
  /** Absolute path, started through no shell of ours. */
  readonly program: string;
  readonly args: readonly string[];
  /** Null for the daemon's own user. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** Index of the filter isolate that has it; 0 where it is left out. */
  readonly isolate?: number;
  /** Where it is used. */
  readonly subsystems: readonly FilterSubsystem[];
}

export interface FilterSettings {
  readonly shared: SharedSettings;
  /** All programs, of whichever filter isolate they are. */
  readonly tables: readonly (TableProgram & { readonly isolate?: number })[];
  readonly filters?: readonly FilterProgram[];
  /** How this server calls itself to filters. */
  readonly admd?: string;
  /** Idle time of SMTP sessions, which filters are given. */
  readonly sessionTimeoutMs?: number;
  /** The user that the programs run as; null for the daemon's own user. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** PATH of the programs. */
  readonly path: string;
}

/** Of the isolates that touch users' files: what is to be done comes with each task. */
export interface FileSettings {
  readonly shared: SharedSettings;
}

export interface LoginSettings {
  readonly shared: SharedSettings;
}

export interface SignerSettings {
  readonly shared: SharedSettings;
  readonly keys: readonly SigningKey[];
  /** Shared with lookup: a message is signed when it carries the MAC. */
  readonly signingMacKey: Uint8Array;
  /** Path of the system's libcrypto, which it may load; null: there is none, or there are no keys. */
  readonly libcrypto: string | null;
}

/** A place of the log, which main knows by its number. */
export interface LogTarget {
  readonly id: number;
  readonly kind: "stderr" | "syslog" | "journald" | "file";
  readonly format: "text" | "json";
}

/** A certificate that is obtained by ACME. Main and the acme isolate have the key of the account. */
export interface AcmeCertificate extends Omit<AcmeOrder, "hook" | "listen"> {
  /** Of the `pki` line. */
  readonly name: string;
  /** PEM text of the authorities that the directory's certificate may lead to; null for the public ones. */
  readonly ca: string | null;
  /** Null before there is one. Lines of one directory have the same. */
  readonly account: AcmeAccount | null;
  /** The chain that is there, as PEM text; null before there is one. */
  readonly chain: string | null;
  /** As `put-off` said. */
  readonly putOff: { readonly until: number; readonly failures: number };
}

/** An account of an authority, by the name of its directory. Secret. */
export interface AcmeAccount {
  /** PEM text. */
  readonly key: string;
  readonly url: string;
  /** What the authority knows of it, as one text. */
  readonly contact: string;
}

export interface AcmeSettings {
  readonly shared: SharedSettings;
  /** Empty: nothing is obtained. */
  readonly certificates: readonly AcmeCertificate[];
}

/** What the history is kept in, and how much of it. */
export interface HistorySettings {
  readonly shared: SharedSettings;
  /** Null: nothing is recorded. */
  readonly policy: HistoryPolicy | null;
  /** Folder of its files. */
  readonly folder: string;
  /** Free space that it leaves to the queue on the disk that both lie on. */
  readonly reserve: SpoolReserve;
}

export interface ControlSettings {
  readonly shared: SharedSettings;
  /** Where the admin page is served; `place` is what its connections come with. None: nothing is served. */
  readonly admin: readonly (AdminListener & { readonly place: string })[];
  /** Connections of the control socket and of the admin address that may be open at one time. */
  readonly maxConnections: { readonly control: number; readonly admin: number };
  /** Where log lines go: control writes those to stderr, and posts the others to main. */
  readonly log: readonly LogTarget[];
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly pid: number;
  /** What one question of a listing asks of the queue at most. */
  readonly listing: { readonly envelopes: number; readonly messages: number };
  /** Uid that the daemon runs as: it and root may use the control socket. */
  readonly uid: number;
  /** Subsystems that started paused. */
  readonly paused: { readonly mda: boolean; readonly mta: boolean; readonly smtp: boolean };
}

export interface Settings {
  smtp: SmtpSettings;
  lookup: LookupSettings;
  queue: QueueSettings;
  scheduler: SchedulerSettings;
  relay: RelaySettings;
  delivery: DeliverySettings;
  privileged: DeliverySettings;
  mailbox: FileSettings;
  file: FileSettings;
  forward: FileSettings;
  filter: FilterSettings;
  login: LoginSettings;
  signer: SignerSettings;
  acme: AcmeSettings;
  history: HistorySettings;
  control: ControlSettings;
}
