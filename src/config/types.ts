/** What a checked smtpd.conf says, as plain data that can be posted to an isolate. See smtpd.conf(5). */

import type { Mailbox } from "../envelope/mod.ts";
import type { SrsKeys } from "../mac/mod.ts";
import type { LimitsOf } from "./limits.ts";
import type { ListenSpec } from "./listen.ts";
import type { SourceLine } from "./source_line.ts";

/** A table that is written in smtpd.conf. A list has keys only; a map has values. Keys are lower-case, sorted and unique (the last one written wins). */
export interface StaticTable {
  readonly name: string;
  readonly kind: "list" | "map";
  /** Pairs of key and value; the value of a list entry is "". */
  readonly entries: ReadonlyArray<readonly [string, string]>;
}

/**
 * A table whose entries are in a file. They may be many: the lookup isolate reads them itself. A new table back-end is a word of `backend`,
 * its syntax in src/smtpd_conf/table.ts, its reader in src/tables and its opening in src/lookup/tablefiles.ts: CONTRIBUTING.md, "A table
 * back-end".
 */
export interface TableFile {
  readonly name: string;
  readonly backend: "file" | "db" | "passwd" | "sqlite";
  /** What type checks go by: `dynamic` passes them all. */
  readonly kind: "list" | "map" | "dynamic";
  /** Absolute path. */
  readonly path: string;
  /** All files that are read for the table. */
  readonly files: readonly string[];
  /** Those values that may name include files: permission to read these follows from them. */
  readonly includes: readonly string[];
}

/** A table that an external program answers for, `table NAME BACKEND:/argument`. */
export interface TableProgram {
  readonly name: string;
  /** Absolute path of the program. */
  readonly program: string;
  /** What stands after the colon; null for nothing. */
  readonly argument: string | null;
}

/** A program that filters mail, `proc NAME "command" …` or the one of a `proc-exec` filter. */
export interface FilterProcess {
  readonly at: SourceLine;
  /** Names it in the log; the filter's name for `proc-exec`. */
  readonly name: string;
  /** As written: what does not start with a slash is looked for in the folder of programs. */
  readonly command: string;
  /** Null for the user that programs run as. */
  readonly user: string | null;
  /** Null for the group of the user. */
  readonly group: string | null;
  readonly chroot: string | null;
}

/** When a built-in filter can act. */
export type FilterPhase = "connect" | "helo" | "ehlo" | "auth" | "mail-from" | "rcpt-to" | "data" | "commit";

/** Is a result of the checks of a message, or a policy of DMARC, one of the words, or in the table? */
export type MailAuthCondition =
  & { readonly kind: "spf" | "dkim" | "dmarc" }
  & ({ readonly words: readonly string[] } | { readonly table: string });

/** What a built-in filter looks at. Without `test`: has the client a name, has it logged in? */
export type FilterCondition =
  | { readonly kind: "fcrdns" }
  | MailAuthCondition
  | { readonly kind: "rdns" | "auth"; readonly test: { readonly regex: boolean; readonly table: string } | null }
  | {
    readonly kind: "src" | "helo" | "mail-from" | "rcpt-to";
    readonly test: { readonly regex: boolean; readonly table: string };
  };

export type FilterDecisionKind =
  | { readonly kind: "reject" | "disconnect" | "rewrite" | "report"; readonly text: string }
  | { readonly kind: "junk" | "bypass" };

/** A filter that is a step of its own: one behind a process, or a built-in one. */
export type FilterStep =
  | { readonly kind: "process"; readonly name: string; readonly process: string }
  | {
    readonly kind: "builtin";
    readonly at: SourceLine;
    readonly name: string;
    readonly phase: FilterPhase;
    readonly negated: boolean;
    readonly condition: FilterCondition;
    readonly decision: FilterDecisionKind;
  };

/** A test of something against a table. */
export interface TableTest {
  readonly negated: boolean;
  readonly regex: boolean;
  readonly table: string;
}

export type RuleFrom =
  | { readonly kind: "socket"; readonly negated: boolean }
  | ({ readonly kind: "source" } & TableTest)
  | { readonly kind: "rdns"; readonly negated: boolean; readonly test: TableTest | null };

/** One `match` line. Absent criteria are null; `from` and `for` always stand (default: local). */
export interface Rule {
  readonly at: SourceLine;
  readonly tag: TableTest | null;
  readonly from: RuleFrom;
  readonly for: TableTest;
  readonly helo: TableTest | null;
  readonly auth: { readonly negated: boolean; readonly test: TableTest | null } | null;
  readonly tls: { readonly negated: boolean } | null;
  readonly mailFrom: TableTest | null;
  readonly rcptTo: TableTest | null;
  /** Keys such as `dmarc=fail`, of a message that was checked. */
  readonly mailAuth: TableTest | null;
  readonly outcome: { readonly kind: "reject" } | { readonly kind: "action"; readonly name: string };
}

export type LocalMethod =
  | { readonly type: "mbox" }
  | { readonly type: "maildir"; readonly path: string | null; readonly junk: boolean }
  | { readonly type: "lmtp"; readonly destination: string; readonly rcptTo: boolean }
  | { readonly type: "mda"; readonly command: string }
  | { readonly type: "forward-only" }
  | { readonly type: "expand-only" };

export interface LocalAction {
  readonly kind: "local";
  readonly name: string;
  readonly method: LocalMethod;
  readonly user: string | null;
  readonly alias: string | null;
  readonly virtual: string | null;
  readonly userbase: string | null;
  /** Command of the wrapper, in which `%{mda}` is the delivery that it wraps. */
  readonly wrapper: string | null;
  readonly ttlSeconds: number | null;
}

/**
 * The options of `action NAME relay`. A new relay option is a member here with its default in defaults.ts, its syntax in
 * src/smtpd_conf/action.ts and its use in src/relay: CONTRIBUTING.md, "A relay option".
 */
export interface RelayAction {
  readonly kind: "relay";
  readonly name: string;
  readonly helo: string | null;
  readonly heloSrc: string | null;
  readonly pki: string | null;
  readonly ca: string | null;
  readonly protocols: string | null;
  readonly src: string | null;
  readonly mailFrom: string | null;
  readonly backup: { readonly mx: string | null } | null;
  readonly host: string | null;
  readonly domain: string | null;
  readonly tls: "verify" | "no-verify" | null;
  readonly auth: string | null;
  /** A name in `filters`. */
  readonly filter: string | null;
  readonly srs: boolean;
  /** Mail that goes there is signed on its way in, with the keys of `Config.dkim`. */
  readonly dkim: boolean;
  readonly ttlSeconds: number | null;
}

export type Action = LocalAction | RelayAction;

export interface Pki {
  readonly name: string;
  /** Of `acme`: where the certificate and its key are kept, in one file, which is not there before the first certificate was obtained. */
  readonly certFile: string;
  readonly keyFile: string;
  /** How the certificate is obtained; null when its files are the administrator's. */
  readonly acme: AcmeOrder | null;
}

/** RFC 8555 §8 and RFC 8737. */
export type AcmeChallenge = "http-01" | "tls-alpn-01" | "dns-01";

/** `pki NAME acme URL`: a certificate that is obtained and renewed by the daemon. */
export interface AcmeOrder {
  /** URL of the authority's directory (RFC 8555 §7.1.1). */
  readonly directory: string;
  /** URLs `mailto:`. */
  readonly contact: readonly string[];
  readonly challenge: AcmeChallenge;
  /** Program that adds and removes records of the DNS, for dns-01. */
  readonly hook: string | null;
  /** Names of the certificate in lower-case A-labels; `*.` may stand in front. */
  readonly names: readonly string[];
  readonly keyType: "ecdsa" | "rsa";
  /** File of the authorities that the directory's own certificate may lead to; null for the public ones. */
  readonly ca: string | null;
  /** Where the authority is answered; a null address is any of this machine. */
  readonly listen: { readonly address: string | null; readonly port: number };
}

/** A `dkim` line: a key that signs mail of its domain. */
export interface DkimLine {
  readonly at: SourceLine;
  /** In lower-case A-labels, as the selector. */
  readonly domain: string;
  readonly selector: string;
  /** Path of the PEM file. */
  readonly keyFile: string;
  /** Lower-case names of the fields that are signed; null for the usual ones. */
  readonly headers: readonly string[] | null;
  /** How long a signature is good (`x=`); null for ever. */
  readonly expireSeconds: number | null;
}

/** `mta limit` block. Seconds and counts: see limits.ts. */
export interface RelayLimits extends LimitsOf<"mta"> {
  readonly family: 4 | 6 | null;
}

/** Where the admin page and its API are served: an address, or a unix socket. `auth`: reading needs a login, too. */
export type AdminListener =
  | {
    readonly address: string;
    readonly port: number;
    /** A name by which browsers come, through a proxy for instance; null for none beside the usual ones. */
    readonly hostname: string | null;
    readonly auth: boolean;
  }
  | {
    readonly path: string;
    /** Of the socket: who may write to it may connect. */
    readonly mode: number;
    /** Of the socket; null for that of the daemon. */
    readonly group: string | null;
    readonly hostname: string | null;
    readonly auth: boolean;
  };

export interface Config {
  /** The file that was read, as given. */
  readonly file: string;
  readonly listen: readonly ListenSpec[];
  readonly tables: Readonly<Record<string, StaticTable>>;
  readonly tableFiles: Readonly<Record<string, TableFile>>;
  readonly programs: Readonly<Record<string, TableProgram>>;
  /** Programs of filters that are used or not. */
  readonly processes: Readonly<Record<string, FilterProcess>>;
  /** What each filter, chain or list of filters consists of, in order; lists without a name have one made up. */
  readonly filters: Readonly<Record<string, readonly FilterStep[]>>;
  /** Name of this server for filters; null for its host name. */
  readonly admd: string | null;
  readonly actions: Readonly<Record<string, Action>>;
  readonly rules: readonly Rule[];
  readonly pki: Readonly<Record<string, Pki>>;
  readonly ca: Readonly<Record<string, string>>;
  /** In the order in which they are written. */
  readonly dkim: readonly DkimLine[];
  readonly smtp: LimitsOf<"smtp"> & {
    readonly maxMessageBytes: number;
    /** How long the banner waits; 0: not at all. */
    readonly bannerDelaySeconds: number;
    /** Networks that the limits of one client address do not hold for. */
    readonly trusted: readonly string[];
    readonly subAddressDelimiter: string;
  };
  readonly queue: {
    readonly ttlSeconds: number;
    readonly reserve: SpoolReserve;
    readonly compression: boolean;
    /** Null: stored mail is not encrypted. */
    readonly encryption: KeySource | null;
    /** Keys that older mail may be encrypted with. */
    readonly oldKeys: readonly KeySource[];
  };
  /** null without `srs key`. */
  readonly srs: SrsKeys | null;
  readonly bounce: { readonly warnIntervalsSeconds: readonly number[] };
  readonly mda: LimitsOf<"mda">;
  readonly mta: {
    readonly maxDeferred: number;
    readonly limits: RelayLimits;
    readonly domainLimits: Readonly<Record<string, RelayLimits>>;
  };
  readonly scheduler: LimitsOf<"scheduler">;
  /** Our extension: the lines `admin listen on …`; none: nothing is served. */
  readonly admin: readonly AdminListener[];
  /** Our extension: `dmarc reports from "ADDRESS"`; null when not written. */
  readonly dmarcReports: { readonly from: Mailbox } | null;
  /** Our extension: `history keep TIME [size SIZE] [refs]`; null when not written: nothing is recorded. */
  readonly history: HistoryPolicy | null;
  /** Our extension: the lines `log to …`; none: the command line says where the log goes. */
  readonly log: readonly LogSink[];
  /** Where actions, tables, filters and the like were declared, by kind and name: `table users`, `admin listen`. For messages. */
  readonly declared: Readonly<Record<string, SourceLine>>;
}

/** What is kept of the events of each message, for `smtpctl find` and `smtpctl story`. */
export interface HistoryPolicy {
  readonly keepMs: number;
  /** Of all that it has on disk. */
  readonly maxBytes: number;
  /** Refusals name an id that leads to them. */
  readonly refs: boolean;
}

/** OpenSMTPD's lines, or one JSON object a line. */
export type LogFormat = "text" | "json";

/** A place where the log goes; journald has fields instead of a format. `at`: its line, absent for what the command line says. */
export type LogSink =
  | { readonly kind: "stderr" | "syslog"; readonly format: LogFormat; readonly at?: SourceLine }
  | { readonly kind: "journald"; readonly format: "text"; readonly at?: SourceLine }
  | { readonly kind: "file"; readonly path: string; readonly format: LogFormat; readonly at?: SourceLine };

/** What the queue leaves free on its disk: this share of it, of inodes as well, but at most `bytes`; just `bytes` when `share` is null. */
export interface SpoolReserve {
  readonly share: number | null;
  readonly bytes: number;
}

/** Where a key of the queue comes from. `input`: the terminal, or standard input where there is none. */
export type KeySource =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "input"; readonly prompt: boolean };

/** What the parser says of a bad line. */
export interface Diagnostic extends SourceLine {
  readonly message: string;
}

export type ParseResult =
  | {
    readonly ok: true;
    readonly config: Config;
    readonly warnings: readonly string[];
    /** Warnings that are for a check of the configuration, not for each start. */
    readonly notes: readonly string[];
  }
  | {
    readonly ok: false;
    readonly diagnostics: readonly Diagnostic[];
    readonly fatal: string | null;
    /** What could be read, for checks of the machine: what is wrong with both is reported in one run. Absent when nothing could. */
    readonly partial?: Config;
  };
