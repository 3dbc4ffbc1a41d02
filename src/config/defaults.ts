/** What holds when smtpd.conf says nothing; the default limits are in limits.ts. Seconds, bytes and counts. */

import { defaultLimits, DEFERRED_LIMIT } from "./limits.ts";
import type { Config, RelayAction, RelayLimits } from "./types.ts";

/** `mta limit` when nothing is written. */
export const DEFAULT_RELAY_LIMITS: RelayLimits = { ...defaultLimits("mta"), family: null };

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
    dkim: false,
    ttlSeconds: null,
  };
}

/** The settings of a config that has none of its own. */
export const DEFAULTS: Pick<Config, "smtp" | "queue" | "bounce" | "mda" | "mta" | "scheduler" | "admin"> = {
  smtp: {
    ...defaultLimits("smtp"),
    maxMessageBytes: 35 * 1024 * 1024,
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
  mda: defaultLimits("mda"),
  mta: { maxDeferred: DEFERRED_LIMIT.default, limits: DEFAULT_RELAY_LIMITS, domainLimits: {} },
  scheduler: defaultLimits("scheduler"),
  admin: [],
};

/** Size of the history where its line has none, and the smallest one. */
export const DEFAULT_HISTORY_BYTES = 1024 ** 3, MIN_HISTORY_BYTES = 4 * 1024 ** 2;

/** Tables that exist without being declared. `main` and the lookup isolate fill them in; they cannot be redeclared. */
export const BUILTIN_TABLES = {
  localNames: "<localnames>",
  localHost: "<localhost>",
  anyHost: "<anyhost>",
  anyDestination: "<anydestination>",
  accounts: "<getpwnam>",
} as const;
