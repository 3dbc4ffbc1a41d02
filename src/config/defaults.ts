/** What holds when smtpd.conf says nothing, and the limits of the language itself. Seconds, bytes and counts. */

import type { Config, RelayAction, RelayLimits } from "./types.ts";

/** `mta limit` when nothing is written. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  maxConnPerHost: 10,
  maxConnPerRoute: 5,
  maxConnPerSource: 100,
  maxConnPerConnector: 20,
  maxConnPerRelay: 100,
  maxConnPerDomain: 100,
  connDelayHost: 0,
  connDelayRoute: 5,
  connDelaySource: 0,
  connDelayConnector: 0,
  connDelayRelay: 2,
  connDelayDomain: 0,
  reconnDelayRoute: 3,
  sessionMailMax: 100,
  sessionTransactionDelay: 0,
  sessionKeepalive: 10,
  maxFailuresPerSession: 25,
  taskHiwat: 50,
  taskLowat: 30,
  taskRelease: 10,
  family: null,
};

/** `action NAME relay` and no more. */
export function plainRelay(name: string): RelayAction {
  return {
    kind: "relay",
    name,
    helo: null,
    heloSrc: null,
    pki: null,
    ca: null,
    protocols: null,
    src: null,
    mailFrom: null,
    backup: null,
    host: null,
    domain: null,
    tls: null,
    auth: null,
    filter: null,
    srs: false,
    ttlSeconds: null,
  };
}

/** The settings of a config that has none of its own. */
export const DEFAULTS: Pick<Config, "smtp" | "queue" | "bounce" | "mda" | "mta" | "scheduler" | "admin"> = {
  smtp: {
    maxMessageBytes: 35 * 1024 * 1024,
    maxMails: 100,
    maxRcpt: 1000,
    maxSessions: null,
    maxSessionsPerSource: 50,
    maxConnectionsPerMinute: 600,
    maxErrors: 100,
    bannerDelaySeconds: 0,
    trusted: [],
    subAddressDelimiter: "+",
  },
  queue: {
    ttlSeconds: 4 * 86_400,
    reserve: { share: 0.05, bytes: 1024 ** 3 },
    compression: false,
    encryption: null,
    oldKeys: [],
  },
  bounce: { warnIntervalsSeconds: [4 * 3600] },
  mda: { maxSession: 50, maxSessionPerUser: 7, taskHiwat: 50, taskLowat: 30, taskRelease: 10 },
  mta: { maxDeferred: 100, limits: DEFAULT_RELAY_LIMITS, domainLimits: {} },
  scheduler: { maxInflight: 5000, maxSchedule: null, maxEvpBatchSize: 256, maxMsgBatchSize: 1024 },
  admin: null,
};

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
  /** Characters of a table's key, and of its name. */
  tableKey: 1023,
  tableName: 2047,
  /** Bytes of a table file, and of a database. */
  tableFileBytes: 512 * 1024 * 1024,
  tag: 32,
  pkiPerListener: 32,
  warnIntervals: 4,
  /** Clients wait 5 minutes for a banner at least (RFC 5321 §4.5.3.2.1); those that wait are sessions meanwhile. */
  bannerDelaySeconds: 60,
  /** Characters of a key of the queue, and how many replaced ones may be named. */
  queueKey: 32,
  queueOldKeys: 8,
  filtersPerChain: 32,
} as const;

/** Tables that exist without being declared. `main` and the lookup isolate fill them in; they cannot be redeclared. */
export const BUILTIN_TABLES = {
  localNames: "<localnames>",
  localHost: "<localhost>",
  anyHost: "<anyhost>",
  anyDestination: "<anydestination>",
  accounts: "<getpwnam>",
} as const;
