/** The `… limit` directives of smtpd.conf(5): words followed by numbers. */

import { asciiDomain } from "../envelope/mod.ts";
import type { Context } from "./context.ts";
import type { RelayLimits } from "../config/mod.ts";

const MAX_INT32 = 0x7fff_ffff;

/** A limit and the least that makes sense: with no connection or no recipient allowed, mail would stand still. */
interface Limit<Key> {
  readonly key: Key;
  readonly least: 0 | 1;
}

type LimitWords<Key> = Readonly<Record<string, Limit<Key>>>;

const MDA: LimitWords<"maxSession" | "maxSessionPerUser" | "taskHiwat" | "taskLowat" | "taskRelease"> = {
  "max-session": { key: "maxSession", least: 1 },
  "max-session-per-user": { key: "maxSessionPerUser", least: 1 },
  "task-hiwat": { key: "taskHiwat", least: 1 },
  "task-lowat": { key: "taskLowat", least: 0 },
  "task-release": { key: "taskRelease", least: 0 },
};

const SCHEDULER: LimitWords<"maxInflight" | "maxSchedule" | "maxEvpBatchSize" | "maxMsgBatchSize"> = {
  "max-inflight": { key: "maxInflight", least: 1 },
  "max-schedule": { key: "maxSchedule", least: 1 },
  "max-evp-batch-size": { key: "maxEvpBatchSize", least: 1 },
  "max-msg-batch-size": { key: "maxMsgBatchSize", least: 1 },
};

const SMTP: LimitWords<
  "maxMails" | "maxRcpt" | "maxSessions" | "maxSessionsPerSource" | "maxConnectionsPerMinute" | "maxErrors"
> = {
  "max-mails": { key: "maxMails", least: 1 },
  "max-rcpt": { key: "maxRcpt", least: 1 },
  // These are not OpenSMTPD's.
  "max-sessions": { key: "maxSessions", least: 1 },
  "max-sessions-per-source": { key: "maxSessionsPerSource", least: 0 },
  "max-connections-per-minute": { key: "maxConnectionsPerMinute", least: 0 },
  "max-errors": { key: "maxErrors", least: 0 },
};

const MTA: LimitWords<Exclude<keyof RelayLimits, "family">> = {
  "max-conn-per-host": { key: "maxConnPerHost", least: 1 },
  "max-conn-per-route": { key: "maxConnPerRoute", least: 1 },
  "max-conn-per-source": { key: "maxConnPerSource", least: 1 },
  "max-conn-per-connector": { key: "maxConnPerConnector", least: 1 },
  "max-conn-per-relay": { key: "maxConnPerRelay", least: 1 },
  "max-conn-per-domain": { key: "maxConnPerDomain", least: 1 },
  "conn-delay-host": { key: "connDelayHost", least: 0 },
  "conn-delay-route": { key: "connDelayRoute", least: 0 },
  "conn-delay-source": { key: "connDelaySource", least: 0 },
  "conn-delay-connector": { key: "connDelayConnector", least: 0 },
  "conn-delay-relay": { key: "connDelayRelay", least: 0 },
  "conn-delay-domain": { key: "connDelayDomain", least: 0 },
  "reconn-delay-route": { key: "reconnDelayRoute", least: 0 },
  "session-mail-max": { key: "sessionMailMax", least: 1 },
  "session-transaction-delay": { key: "sessionTransactionDelay", least: 0 },
  "session-keepalive": { key: "sessionKeepalive", least: 0 },
  "max-failures-per-session": { key: "maxFailuresPerSession", least: 0 },
  "task-hiwat": { key: "taskHiwat", least: 1 },
  "task-lowat": { key: "taskLowat", least: 0 },
  "task-release": { key: "taskRelease", least: 0 },
};

export function parseMdaLimits(context: Context): void {
  parseLimits(context, "mda", MDA, (key, value) => context.draft.mda[key] = value);
}

export function parseSchedulerLimits(context: Context): void {
  parseLimits(context, "scheduler", SCHEDULER, (key, value) => context.draft.scheduler[key] = value);
}

export function parseSmtpLimits(context: Context): void {
  parseLimits(context, "smtp", SMTP, (key, value) => context.draft.smtp[key] = value);
}

/** After `mta limit`. A block for a domain starts as a copy of the default block as it stands here. */
export function parseMtaLimits(context: Context): void {
  const { cursor, draft } = context;
  let domain: string | null = null;
  if (cursor.acceptKeyword("for")) {
    if (!cursor.expectKeyword("domain")) return;
    const written = cursor.expectString("a domain")?.toLowerCase() ?? null;
    if (written === null) return;
    domain = asciiDomain(written) ?? written;
  }
  const limits = { ...(domain === null ? null : draft.domainLimits.get(domain)) ?? draft.mta.limits };
  const family = (word: string) => {
    if (word === "inet4") limits.family = 4;
    else if (word === "inet6") limits.family = 6;
    else return false;
    return true;
  };
  parseLimits(context, "mta", MTA, (key, value) => limits[key] = value, family);
  if (cursor.failed) return;
  if (domain === null) draft.mta.limits = limits;
  else draft.domainLimits.set(domain, limits);
}

/** A count for a single directive; `least` as in the tables above. */
export function expectCount({ cursor }: Context, what: string, least: 0 | 1): number | null {
  const { at } = cursor.peek();
  const value = cursor.expectNumber("a number");
  if (value === null) return null;
  if (value >= least && value <= MAX_INT32) return value;
  cursor.fail(at, `invalid value for ${what}: ${value} (from ${least} to ${MAX_INT32})`);
  return null;
}

/** Words and numbers to the end of the line. `flag` takes words without a number and says whether it knew them. */
function parseLimits<Key>(
  context: Context,
  what: string,
  words: LimitWords<Key>,
  set: (key: Key, value: number) => void,
  flag: (word: string) => boolean = () => false,
): void {
  const { cursor } = context;
  while (!cursor.atEnd()) {
    const token = cursor.peek();
    if (token.kind === "keyword" && flag(token.text)) {
      cursor.take();
      continue;
    }
    const limit = token.kind === "string" && Object.hasOwn(words, token.text) ? words[token.text]! : null;
    if (limit === null) return cursor.unknownWord(`${what} limit keyword`, Object.keys(words));
    cursor.take();
    const value = expectCount(context, `${what} limit ${token.text}`, limit.least);
    if (value !== null) set(limit.key, value);
  }
}
