/**
 * What isolates and main say to each other at the doors to main, by role: sessions that main hands over, and what only main may do or find
 * out. Types, limits and checks only. What lookup asks is in lookup_main.ts; how isolates are started, watched and ended is in lifecycle.ts.
 */

import { type Trace, TRACES } from "../events/mod.ts";
import {
  type Check,
  finite,
  flag,
  list,
  matching,
  type MessageTable,
  nullOr,
  oneOf,
  optional,
  record,
  type Replies,
  text,
  whole,
} from "./check.ts";
import { blocklists, type Checked, checked, type Finding, findings, type QueueFacts, queueFacts } from "./checkup.ts";
import { dnsName } from "./dns.ts";
import { door } from "./door.ts";
import { MAX_PROCESSES, PROCESS_WALLS, type ProcessWalls } from "./process_walls.ts";
import type { FileRole } from "./roles.ts";
import { call, longText } from "./shapes.ts";

export interface Peer {
  /** IPv4, bare IPv6, or "local". */
  readonly address: string;
  readonly port: number;
  /** Who is on the other end of a unix socket; null when unknown. */
  readonly uid: number | null;
  /** The address that the client connected to, for listeners whose name depends on it. */
  readonly local?: string;
}

/** Under these numbers, which no listener of smtpd.conf has, control gets the connections of its socket and of the admin address. */
export const CONTROL_LISTENER = -1, ADMIN_LISTENER = -2;

/** An accepted connection (smtp: of `listener`; control: CONTROL_LISTENER or ADMIN_LISTENER). `sessionNumber` comes back in `sessions-ended`. */
export interface HandedSession {
  readonly type: "session";
  readonly descriptor: number;
  readonly listener: number;
  readonly peer: Peer;
  readonly sessionNumber: number;
  /** Number of the configuration that smtp serves the session by; 0 when it is left out. */
  readonly generation?: number;
}

export type SmtpToMain =
  /** These sessions ended, main may accept others. */
  | { readonly type: "sessions-ended"; readonly sessionNumbers: readonly number[] }
  /** A session that came through a proxy is of this client: main counts for all smtp isolates. */
  | { readonly type: "source"; readonly call: number; readonly sessionNumber: number; readonly address: string };
export type MainToSmtp =
  | HandedSession
  /** Whether the client behind the proxy has a session to spare. */
  | { readonly type: "source"; readonly call: number; readonly admitted: boolean };

/** A finished line of the log; with fields for journald. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "crit";
  readonly text: string;
  readonly fields?: readonly { readonly name: string; readonly value: string }[];
}

/** What smtpctl asks of main, and lines for the places of the log that only main reaches. */
export type ControlToMain =
  | { readonly type: "stop"; readonly call: number }
  | { readonly type: "pause-smtp"; readonly call: number; readonly paused: boolean }
  /** Load all certificates, keys and CA files again. */
  | { readonly type: "update-pki"; readonly call: number }
  /** Load all keys of DKIM again, and look for the records of those that wait for theirs. */
  | { readonly type: "update-dkim"; readonly call: number }
  /** Has the DNS the records of the keys of DKIM? */
  | { readonly type: "dkim-check"; readonly call: number }
  /** Make new keys for this domain, which is in lower-case A-labels. */
  | { readonly type: "dkim-rotate"; readonly call: number; readonly domain: string }
  /** Check this host. `keeps`: the daily check, which is compared with the last one and kept. */
  | {
    readonly type: "checkup";
    readonly call: number;
    readonly queue: QueueFacts;
    readonly blocklists: readonly string[];
    readonly keeps: boolean;
  }
  /** What did the last daily check find? */
  | { readonly type: "last-checkup"; readonly call: number }
  /** Is there anything against reading this table again? `error` of the answer says what. */
  | { readonly type: "check-table"; readonly call: number; readonly table: string }
  /** Read the configuration again. Answered when that is in use, or nothing has changed. */
  | { readonly type: "reload"; readonly call: number }
  /** Which configuration is in use? */
  | { readonly type: "configuration"; readonly call: number }
  /** Which certificates are in use? */
  | { readonly type: "certificates"; readonly call: number }
  /** Do all isolates run? `error` of the answer names those that do not. */
  | { readonly type: "isolates"; readonly call: number }
  /** Which files and folders belong to the configuration? */
  | { readonly type: "files"; readonly call: number }
  /** What stands around each process of the daemon? */
  | { readonly type: "walls"; readonly call: number }
  | {
    readonly type: "verbosity";
    readonly call: number;
    readonly verbose: boolean;
    readonly traces: readonly Trace[];
  }
  /** Which tokens of the admin page are there? */
  | { readonly type: "admin-tokens"; readonly call: number }
  /** Keep another one, or forget one. */
  | { readonly type: "add-admin-token"; readonly call: number; readonly token: AdminToken }
  | { readonly type: "remove-admin-token"; readonly call: number; readonly name: string }
  /** Keep when it was used last, in milliseconds since the epoch. */
  | { readonly type: "admin-token-used"; readonly name: string; readonly at: number }
  /** Finished lines for a place of the log, by its number in the settings. */
  | { readonly type: "log"; readonly target: number; readonly lines: readonly LogLine[] };
/** What is kept of a token of the admin page: not the token. Times in milliseconds since the epoch. */
export interface AdminToken {
  readonly name: string;
  /** `write` includes `read`. */
  readonly scope: "read" | "write";
  /** SHA-256 of the token, in hexadecimal digits. */
  readonly hash: string;
  readonly createdAt: number;
  /** Null for never. */
  readonly expiresAt: number | null;
  readonly usedAt: number | null;
}
/** How many there may be. */
export const MAX_ADMIN_TOKENS = 100;
/** What a token may be called. */
export const ADMIN_TOKEN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** A certificate in use. Times in milliseconds since the epoch. */
export interface CertificateEntry {
  /** Of the `pki` line. */
  readonly name: string;
  /** `temporary`: until the first one is obtained, one that nobody vouches for. */
  readonly source: "file" | "acme" | "temporary";
  readonly notAfter: number;
  readonly names: readonly string[];
  /** Common name of its issuer. */
  readonly issuer: string;
  /** Attempts to obtain another one that failed, in a row. */
  readonly failures: number;
  /** When the next attempt is; null when none has failed. */
  readonly retryAt: number | null;
}

/** Which configuration is in use, and what is left of those before it. */
export interface ConfigurationState {
  readonly file: string;
  /** When it was read, in ms since the epoch. */
  readonly readAt: number;
  /** How often another one was put in its place. */
  readonly generation: number;
  /** Older ones of which there are sessions, and these sessions. */
  readonly olderGenerations: number;
  readonly olderSessions: number;
}

/** Main's answer to control. `changed` is false when it was so already. */
export interface MainAnswer {
  readonly type: "answer";
  readonly call: number;
  readonly changed: boolean;
  /** Why it could not be done, or not all of it. */
  readonly error: string | null;
}
/** How the record of a key of DKIM is in the DNS. */
export interface DkimKeyState {
  readonly domain: string;
  readonly selector: string;
  /** It signs, waits for its record, or has been replaced. */
  readonly use: "signs" | "waits" | "replaced";
  readonly state: "ok" | "missing" | "differs" | "several" | "unknown";
  /** Nothing is to be done about it but what `text` says. */
  readonly ok: boolean;
  /** The line to print. */
  readonly text: string;
}

export type MainToControl =
  | HandedSession
  | MainAnswer
  /** Lines to print, and why the exit status of smtpctl is not 0. */
  | {
    readonly type: "dkim";
    readonly call: number;
    readonly lines: readonly string[];
    /** The same of a check, with types: one for each line. */
    readonly keys?: readonly DkimKeyState[];
    readonly error: string | null;
  }
  /** Absolute paths, the configuration file first. */
  | { readonly type: "files"; readonly call: number; readonly paths: readonly string[] }
  /** Lines to print, and those that say what is wrong: with any, nothing has changed. */
  | {
    readonly type: "reloaded";
    readonly call: number;
    readonly lines: readonly string[];
    readonly faults: readonly string[];
  }
  | { readonly type: "configuration"; readonly call: number } & ConfigurationState
  | { readonly type: "certificates"; readonly call: number; readonly certificates: readonly CertificateEntry[] }
  | { readonly type: "walls"; readonly call: number; readonly processes: readonly ProcessWalls[] }
  /** Those that are kept now. `error`: why what was asked for was not done. */
  | {
    readonly type: "admin-tokens";
    readonly call: number;
    readonly tokens: readonly AdminToken[];
    readonly error: string | null;
  }
  /** `checked` is null where there was no check yet. `worse`: what is worse than at the last daily check. */
  | {
    readonly type: "checked";
    readonly call: number;
    readonly checked: Checked | null;
    readonly worse: readonly Finding[];
  };

/** One isolate more of the file role that works for the asker. */
export interface Grow<R extends FileRole> {
  readonly type: "grow";
  readonly role: R;
}
export type DeliveryToMain = Grow<"mailbox">;
export type PrivilegedToMain = Grow<"file">;

export type FilterToMain =
  /** A program was started, or has ended. */
  | { readonly type: "program"; readonly pid: number; readonly running: boolean }
  /** Without this program no mail may pass. */
  | { readonly type: "lost-program"; readonly reason: string };

const ADDRESS_CHARS = 64;
const SESSION = {
  descriptor: whole(),
  listener: whole({ least: ADMIN_LISTENER }),
  peer: record<Peer>({
    address: text(),
    port: whole({ least: 0, most: 65_535 }),
    uid: nullOr(whole()),
    local: optional(text()),
  }),
  sessionNumber: whole(),
  generation: optional(whole()),
};

const SMTP_TO_MAIN: MessageTable<SmtpToMain> = {
  "sessions-ended": { sessionNumbers: list(whole()) },
  source: { call, sessionNumber: whole(), address: text(ADDRESS_CHARS) },
};
const MAIN_TO_SMTP: MessageTable<MainToSmtp> = { session: SESSION, source: { call, admitted: flag } };
const SMTP_MAIN_REPLIES: Replies<SmtpToMain, MainToSmtp> = { source: ["source"] };

/** A line has a field for each of its event, no more. */
const MAX_LOG_FIELDS = 32;
const logLine = record<LogLine>({
  level: oneOf("debug", "info", "warn", "crit"),
  text: longText,
  fields: optional(
    list(
      record<{ readonly name: string; readonly value: string }>({
        // Whoever owns control writes no fields of journald itself.
        name: matching(/^VAULTPOST_[A-Z_]{1,40}$/, "the name of a field"),
        value: text(),
      }),
      MAX_LOG_FIELDS,
    ),
  ),
});
const adminTokenName = matching(ADMIN_TOKEN_NAME, "the name of a token");
export const adminToken: Check<AdminToken> = record<AdminToken>({
  name: adminTokenName,
  scope: oneOf("read", "write"),
  hash: matching(/^[0-9a-f]{64}$/, "a hash"),
  createdAt: whole(),
  expiresAt: nullOr(whole()),
  usedAt: nullOr(whole()),
});
const CONTROL_TO_MAIN: MessageTable<ControlToMain> = {
  stop: { call },
  "pause-smtp": { call, paused: flag },
  "update-pki": { call },
  "update-dkim": { call },
  "dkim-check": { call },
  "dkim-rotate": { call, domain: dnsName },
  checkup: { call, queue: queueFacts, blocklists, keeps: flag },
  "last-checkup": { call },
  "check-table": { call, table: text() },
  reload: { call },
  configuration: { call },
  certificates: { call },
  isolates: { call },
  files: { call },
  walls: { call },
  verbosity: { call, verbose: flag, traces: list(oneOf(...TRACES), TRACES.length) },
  "admin-tokens": { call },
  "add-admin-token": { call, token: adminToken },
  "remove-admin-token": { call, name: adminTokenName },
  "admin-token-used": { name: adminTokenName, at: whole() },
  log: { target: whole(), lines: list(logLine) },
};
const MAIN_TO_CONTROL: MessageTable<MainToControl> = {
  session: SESSION,
  answer: { call, changed: flag, error: nullOr(longText) },
  dkim: {
    call,
    lines: list(longText),
    keys: optional(
      list(
        record<DkimKeyState>({
          domain: text(),
          selector: text(),
          use: oneOf("signs", "waits", "replaced"),
          state: oneOf("ok", "missing", "differs", "several", "unknown"),
          ok: flag,
          text: longText,
        }),
      ),
    ),
    error: nullOr(longText),
  },
  files: { call, paths: list(text()) },
  reloaded: { call, lines: list(longText), faults: list(longText) },
  certificates: {
    call,
    certificates: list(
      record<CertificateEntry>({
        name: text(),
        source: oneOf("file", "acme", "temporary"),
        notAfter: finite,
        names: list(text()),
        issuer: text(),
        failures: whole(),
        retryAt: nullOr(finite),
      }),
    ),
  },
  configuration: {
    call,
    file: text(),
    readAt: whole(),
    generation: whole(),
    olderGenerations: whole(),
    olderSessions: whole(),
  },
  walls: { call, processes: list(record(PROCESS_WALLS), MAX_PROCESSES) },
  "admin-tokens": { call, tokens: list(adminToken, MAX_ADMIN_TOKENS), error: nullOr(longText) },
  checked: { call, checked: nullOr(checked), worse: findings },
};
const CONTROL_MAIN_REPLIES: Replies<ControlToMain, MainToControl> = {
  stop: ["answer"],
  "pause-smtp": ["answer"],
  "update-pki": ["answer"],
  "update-dkim": ["answer"],
  "dkim-check": ["dkim"],
  "dkim-rotate": ["dkim"],
  checkup: ["checked"],
  "last-checkup": ["checked"],
  "check-table": ["answer"],
  reload: ["reloaded"],
  configuration: ["configuration"],
  certificates: ["certificates"],
  isolates: ["answer"],
  files: ["files"],
  walls: ["walls"],
  "admin-tokens": ["admin-tokens"],
  "add-admin-token": ["admin-tokens"],
  "remove-admin-token": ["admin-tokens"],
  verbosity: ["answer"],
};

const DELIVERY_TO_MAIN: MessageTable<DeliveryToMain> = { grow: { role: oneOf("mailbox") } };
const PRIVILEGED_TO_MAIN: MessageTable<PrivilegedToMain> = { grow: { role: oneOf("file") } };

/** Process ids of the first processes of a system belong to it. */
const FIRST_PID = 2;
const FILTER_TO_MAIN: MessageTable<FilterToMain> = {
  program: { pid: whole({ least: FIRST_PID, most: 2 ** 31 - 1 }), running: flag },
  "lost-program": { reason: longText },
};

export const SMTP_MAIN = door<SmtpToMain, MainToSmtp>(SMTP_TO_MAIN, MAIN_TO_SMTP, SMTP_MAIN_REPLIES);
export const CONTROL_MAIN = door<ControlToMain, MainToControl>(CONTROL_TO_MAIN, MAIN_TO_CONTROL, CONTROL_MAIN_REPLIES);
export const FILTER_MAIN = door<FilterToMain, never>(FILTER_TO_MAIN, {}, {});
export const DELIVERY_MAIN = door<DeliveryToMain, never>(DELIVERY_TO_MAIN, {}, {});
export const PRIVILEGED_MAIN = door<PrivilegedToMain, never>(PRIVILEGED_TO_MAIN, {}, {});
