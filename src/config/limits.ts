/**
 * The default limits: every word of the `… limit` lines of smtpd.conf(5) with its default, its bounds, its unit and the isolate that gets it. A new limit
 * is one line here: the types, the parser, the defaults and the settings of the isolates follow from it. Below it are the limits of the
 * language of smtpd.conf itself.
 */

/** What applies a limit: an isolate, or main. */
export type LimitReader = "main" | "smtp" | "delivery" | "scheduler" | "relay" | "control";

/** One word of a `… limit` line. */
export interface Limit {
  readonly word: string;
  /** Null: what it is without a line depends on other things. */
  readonly default: number | null;
  /** With no connection or no recipient allowed, mail would stand still: such limits begin at 1. */
  readonly minimum: 0 | 1;
  readonly maximum: number;
  readonly unit: string;
  readonly to: readonly LimitReader[];
}

const MAX_INT32 = 0x7fff_ffff;
/** What all of them share: no number of smtpd.conf is larger. */
const bounds = { maximum: MAX_INT32 } as const;
const from0 = { minimum: 0, ...bounds } as const, from1 = { minimum: 1, ...bounds } as const;

/** The limits by what stands before `limit`. */
export const LIMITS = {
  smtp: {
    maxMails: { word: "max-mails", default: 100, ...from1, unit: "messages per session", to: ["smtp"] },
    maxRcpt: { word: "max-rcpt", default: 1000, ...from1, unit: "recipients per message", to: ["smtp"] },
    // These are not OpenSMTPD's. The default of max-sessions is as many as the descriptors of the process allow.
    maxSessions: { word: "max-sessions", default: null, ...from1, unit: "sessions", to: ["main"] },
    // Of one client address; of one that comes through a proxy, only smtp has it, not main. 0 is no limit.
    maxSessionsPerSource: {
      word: "max-sessions-per-source",
      default: 50,
      ...from0,
      unit: "sessions per address",
      to: ["main", "smtp"],
    },
    maxConnectionsPerMinute: {
      word: "max-connections-per-minute",
      default: 600,
      ...from0,
      unit: "connections per address and minute",
      to: ["main", "smtp"],
    },
    // Refused commands between two accepted messages; 0 is no limit.
    maxErrors: { word: "max-errors", default: 100, ...from0, unit: "commands", to: ["smtp"] },
  },
  mda: {
    maxSession: { word: "max-session", default: 50, ...from1, unit: "deliveries", to: ["delivery"] },
    maxSessionPerUser: {
      word: "max-session-per-user",
      default: 7,
      ...from1,
      unit: "deliveries per user",
      to: ["delivery"],
    },
    taskHiwat: { word: "task-hiwat", default: 50, ...from1, unit: "envelopes per user", to: ["scheduler"] },
    taskLowat: { word: "task-lowat", default: 30, ...from0, unit: "envelopes per user", to: ["scheduler"] },
    taskRelease: { word: "task-release", default: 10, ...from0, unit: "envelopes", to: ["scheduler"] },
  },
  mta: {
    maxConnPerHost: { word: "max-conn-per-host", default: 10, ...from1, unit: "connections", to: ["relay"] },
    maxConnPerRoute: { word: "max-conn-per-route", default: 5, ...from1, unit: "connections", to: ["relay"] },
    maxConnPerSource: { word: "max-conn-per-source", default: 100, ...from1, unit: "connections", to: ["relay"] },
    maxConnPerConnector: { word: "max-conn-per-connector", default: 20, ...from1, unit: "connections", to: ["relay"] },
    maxConnPerRelay: { word: "max-conn-per-relay", default: 100, ...from1, unit: "connections", to: ["relay"] },
    maxConnPerDomain: { word: "max-conn-per-domain", default: 100, ...from1, unit: "connections", to: ["relay"] },
    connDelayHost: { word: "conn-delay-host", default: 0, ...from0, unit: "s", to: ["relay"] },
    connDelayRoute: { word: "conn-delay-route", default: 5, ...from0, unit: "s", to: ["relay"] },
    connDelaySource: { word: "conn-delay-source", default: 0, ...from0, unit: "s", to: ["relay"] },
    connDelayConnector: { word: "conn-delay-connector", default: 0, ...from0, unit: "s", to: ["relay"] },
    connDelayRelay: { word: "conn-delay-relay", default: 2, ...from0, unit: "s", to: ["relay"] },
    connDelayDomain: { word: "conn-delay-domain", default: 0, ...from0, unit: "s", to: ["relay"] },
    reconnDelayRoute: { word: "reconn-delay-route", default: 3, ...from0, unit: "s", to: ["relay"] },
    sessionMailMax: { word: "session-mail-max", default: 100, ...from1, unit: "messages", to: ["relay"] },
    sessionTransactionDelay: { word: "session-transaction-delay", default: 0, ...from0, unit: "s", to: ["relay"] },
    sessionKeepalive: { word: "session-keepalive", default: 10, ...from0, unit: "s", to: ["relay"] },
    maxFailuresPerSession: { word: "max-failures-per-session", default: 25, ...from0, unit: "replies", to: ["relay"] },
    taskHiwat: { word: "task-hiwat", default: 50, ...from1, unit: "envelopes per domain", to: ["relay", "scheduler"] },
    taskLowat: { word: "task-lowat", default: 30, ...from0, unit: "envelopes per domain", to: ["relay", "scheduler"] },
    taskRelease: { word: "task-release", default: 10, ...from0, unit: "envelopes", to: ["relay", "scheduler"] },
  },
  scheduler: {
    maxInflight: { word: "max-inflight", default: 5000, ...from1, unit: "envelopes", to: ["scheduler"] },
    // Envelopes handed out in one pass: without a line, all that may go.
    maxSchedule: { word: "max-schedule", default: null, ...from1, unit: "envelopes per pass", to: ["scheduler"] },
    maxEvpBatchSize: { word: "max-evp-batch-size", default: 256, ...from1, unit: "envelopes", to: ["control"] },
    maxMsgBatchSize: { word: "max-msg-batch-size", default: 1024, ...from1, unit: "messages", to: ["control"] },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Limit>>>>;

/** `mta max-deferred`, which is no word of a `… limit` line. */
export const DEFERRED_LIMIT: Limit & { readonly default: number } = {
  word: "max-deferred",
  default: 100,
  ...from0,
  unit: "envelopes per domain",
  to: ["relay"],
};

/** What stands before `limit` in smtpd.conf. */
export type LimitGroup = keyof typeof LIMITS;

type Rows<Group extends LimitGroup> = (typeof LIMITS)[Group];
type Value<Row> = Row extends { readonly default: null } ? number | null : number;

/** The values of the limits of one group. */
export type LimitsOf<Group extends LimitGroup> = { readonly [Key in keyof Rows<Group>]: Value<Rows<Group>[Key]> };

/** Those of them that one reader gets. */
export type LimitsFor<Group extends LimitGroup, Reader extends LimitReader> = {
  readonly [
    Key in keyof Rows<Group> as Rows<Group>[Key] extends { readonly to: readonly (infer To)[] }
      ? Reader extends To ? Key : never
      : never
  ]: Value<Rows<Group>[Key]>;
};

/** Returns the limits of a group as they are when smtpd.conf has no line for them. */
export function defaultLimits<Group extends LimitGroup>(group: Group): LimitsOf<Group> {
  const rows = Object.entries<Limit>(LIMITS[group]);
  return Object.fromEntries(rows.map(([key, row]) => [key, row.default])) as unknown as LimitsOf<Group>;
}

/** Takes the values of a group of limits, perhaps among others, and returns those that `reader` goes by. */
export function limitsFor<Group extends LimitGroup, Reader extends LimitReader>(
  group: Group,
  reader: Reader,
  values: LimitsFor<Group, Reader>,
): LimitsFor<Group, Reader> {
  const rows = Object.entries<Limit>(LIMITS[group]).filter(([, { to }]) => to.includes(reader));
  return Object.fromEntries(
    rows.map(([key]) => [key, (values as Readonly<Record<string, number | null>>)[key]]),
  ) as unknown as LimitsFor<Group, Reader>;
}

/** Bounds of the language: what is longer, deeper or more is refused with a message. */
export const LANGUAGE_LIMITS = {
  /** Characters of one word, quoted string or macro value. */
  tokenLength: 8096,
  /** Characters read in all, included files and expanded macros together. */
  totalLength: 8 * 1024 * 1024,
  /** Files open at once, and included in all. */
  includeDepth: 16,
  includes: 256,
  /** Messages of one run; a file with more is not worth more lines. */
  diagnostics: 100,
  /** Keys that sign for one domain, and fields of a list of those that are signed. */
  dkimKeys: 4,
  dkimHeaders: 64,
  /** Characters of a table's key, and of its name. */
  tableKey: 1023,
  tableName: 2047,
  /** Bytes of a table file, and of a database. */
  tableFileBytes: 512 * 1024 * 1024,
  tag: 32,
  pkiPerListener: 32,
  /** Names of one certificate (authorities take 100), and characters of a contact. */
  acmeNames: 100,
  acmeContact: 256,
  warnIntervals: 4,
  /** Clients wait 5 minutes for a banner at least (RFC 5321 §4.5.3.2.1); those that wait are sessions meanwhile. */
  bannerDelaySeconds: 60,
  /** Characters of a key of the queue, and how many replaced ones may be named. */
  queueKey: 32,
  queueOldKeys: 8,
  filtersPerChain: 32,
} as const;
