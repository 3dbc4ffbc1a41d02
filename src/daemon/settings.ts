/** Cuts the configuration into the slice of each isolate. An isolate gets nothing that it does not need: only smtp and relay see keys. */

import { connectionLimits } from "./shares.ts";
import { hostname, networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import {
  type Action,
  type Config,
  type Environment,
  type FilterStep,
  type LocalAction,
  mailDirectory,
  MAILNAME,
  type RelayAction,
  resolvConfPath,
  spoolPath,
  VERSION,
} from "../config/mod.ts";
import { SEAL_KEY_BYTES } from "../envelope/mod.ts";
import { parseHosts, parseResolvConf } from "../dns/mod.ts";
import type { Certificates, Listener, QueueKeys, ResolverSettings, Settings, SharedSettings } from "../protocol/mod.ts";
import { readIfPresent } from "./files.ts";
import { filterPrograms, processesOf, programUser } from "./programs.ts";

/** What the machine and the command line add to the configuration. */
export interface Surroundings {
  readonly env: Environment;
  readonly certificates: Certificates;
  readonly listeners: readonly Listener[];
  /** Null when stored mail is not encrypted. */
  readonly queueKeys: QueueKeys | null;
  /** See saltkey.ts. */
  readonly saltKey: Uint8Array;
  readonly serverName: string;
  readonly resolver: ResolverSettings;
  readonly log: "stderr" | "syslog";
  /** How many files the process may open; null when it cannot be told. */
  readonly descriptors: number | null;
  readonly paused: { readonly mda: boolean; readonly mta: boolean; readonly smtp: boolean };
}

/** Idle time after which a session is closed with 421 4.4.2 (RFC 5321 §4.5.3.2.7 asks for 5 minutes). */
const IDLE_TIMEOUT_MS = 300_000;

/** PATH of programs and delivery commands: the system's default, nothing of the daemon's own environment. */
const COMMAND_PATH = "/usr/bin:/bin";

/** The settings of every isolate. */
export function cutSettings(config: Config, around: Surroundings): Settings {
  const shared: SharedSettings = {
    serverName: around.serverName,
    version: VERSION,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    root: Deno.uid() === 0,
  };
  const actions = Object.values(config.actions);
  const ofKind = <A extends Action>(kind: A["kind"]) =>
    Object.fromEntries(actions.filter((one): one is A => one.kind === kind).map((one) => [one.name, one]));
  const { smtp: smtpCertificates, relay: relayCertificates } = cutCertificates(config, around);
  const commandMacKey = crypto.getRandomValues(new Uint8Array(SEAL_KEY_BYTES));
  const srs = config.srs === null ? {} : { srs: config.srs };
  const delivery = {
    shared: shared,
    actions: ofKind<LocalAction>("local"),
    maxSessions: config.mda.maxSession,
    maxSessionsPerUser: config.mda.maxSessionPerUser,
    subAddressDelimiter: config.smtp.subAddressDelimiter,
    mailDirectory: mailDirectory(around.env),
    path: COMMAND_PATH,
    helpers: fileURLToPath(new URL("../../scripts", import.meta.url)),
    uid: Deno.uid() ?? 0,
    gid: Deno.gid() ?? 0,
  };
  return {
    smtp: {
      shared: shared,
      listeners: around.listeners,
      ...smtpCertificates,
      maxMessageBytes: config.smtp.maxMessageBytes,
      maxMails: config.smtp.maxMails,
      maxRcpt: config.smtp.maxRcpt,
      maxErrors: config.smtp.maxErrors,
      maxSessionsPerSource: config.smtp.maxSessionsPerSource,
      maxConnectionsPerMinute: config.smtp.maxConnectionsPerMinute,
      bannerDelayMs: config.smtp.bannerDelaySeconds * 1000,
      trusted: config.smtp.trusted,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      filters: only(config.filters, around.listeners.flatMap(({ filter }) => filter ?? [])),
    },
    lookup: {
      shared: shared,
      tables: config.tables,
      tableFiles: config.tableFiles,
      programTables: Object.keys(config.programs),
      authTables: [...new Set(around.listeners.flatMap(({ auth }) => auth === null ? [] : [auth.table]))],
      saltKey: around.saltKey,
      filterTables: Object.values(config.filters).flat().flatMap(tableOf),
      senderTables: around.listeners.flatMap(({ senders }) => senders === null ? [] : [senders.table]),
      hostnameTables: around.listeners.flatMap(({ hostnames }) => hostnames ?? []),
      rules: config.rules,
      actions: config.actions,
      subAddressDelimiter: config.smtp.subAddressDelimiter,
      localAddresses: localAddresses(),
      commandMacKey: commandMacKey,
      ...srs,
      resolver: around.resolver,
    },
    queue: {
      shared: shared,
      spool: spoolPath(around.env),
      reserve: config.queue.reserve,
      compression: config.queue.compression,
      keys: around.queueKeys,
      ttlSeconds: config.queue.ttlSeconds,
      actionTtlSeconds: Object.fromEntries(actions.map((action) => [action.name, action.ttlSeconds])),
      warnIntervalsSeconds: config.bounce.warnIntervalsSeconds,
      commandMacKey: commandMacKey,
    },
    scheduler: {
      shared: shared,
      maxInflight: config.scheduler.maxInflight,
      maxPerUser: config.mda.taskHiwat,
      maxPerDestination: config.mta.limits.taskHiwat,
      marks: {
        mda: { lowat: config.mda.taskLowat, release: config.mda.taskRelease },
        mta: { lowat: config.mta.limits.taskLowat, release: config.mta.limits.taskRelease },
        domains: Object.fromEntries(
          Object.entries(config.mta.domainLimits).map(([domain, { taskHiwat, taskLowat, taskRelease }]) => [
            domain,
            { hiwat: taskHiwat, lowat: taskLowat, release: taskRelease },
          ]),
        ),
      },
      maxSchedule: config.scheduler.maxSchedule,
      paused: around.paused,
    },
    relay: {
      shared: shared,
      maxDeferred: config.mta.maxDeferred,
      actions: ofKind<RelayAction>("relay"),
      ...relayCertificates,
      limits: config.mta.limits,
      domainLimits: config.mta.domainLimits,
      filters: Object.fromEntries(
        Object.values(ofKind<RelayAction>("relay")).flatMap(({ name, filter }) =>
          filter === null ? [] : [[name, processesOf(config, filter)]]
        ),
      ),
      ...srs,
      resolver: around.resolver,
      own: {
        names: [...new Set([around.serverName, hostname(), ...around.listeners.map((listener) => listener.hostname)])],
        listeners: around.listeners.flatMap(({ socket, address, port }) => socket ? [] : [{ address, port }]),
      },
    },
    delivery,
    errand: delivery,
    mailbox: { shared: shared },
    file: { shared: shared },
    forward: { shared: shared },
    filter: {
      shared: shared,
      tables: Object.values(config.programs),
      filters: filterPrograms(config, around.env, around.listeners),
      admd: config.admd ?? around.serverName,
      sessionTimeoutMs: IDLE_TIMEOUT_MS,
      identity: shared.root && Object.keys(config.programs).length > 0 ? programUser() : null,
      path: COMMAND_PATH,
    },
    login: { shared: shared },
    control: {
      shared: shared,
      admin: config.admin,
      maxConnections: connectionLimits(around.descriptors),
      log: around.log,
      startedAt: Date.now(),
      pid: Deno.pid,
      listing: { envelopes: config.scheduler.maxEvpBatchSize, messages: config.scheduler.maxMsgBatchSize },
      uid: Deno.uid() ?? 0,
      paused: around.paused,
    },
  };
}

/** The table that a built-in filter looks into. */
function tableOf(step: FilterStep): string[] {
  if (step.kind === "process" || step.condition.kind === "fcrdns") return [];
  return step.condition.test === null ? [] : [step.condition.test.table];
}

/** The certificates of listeners go to smtp, those of relay actions to relay. */
export function cutCertificates(
  config: Pick<Config, "actions">,
  { certificates: { pki, ca }, listeners }: Pick<Surroundings, "certificates" | "listeners">,
): { smtp: Certificates; relay: Certificates } {
  const relays = Object.values(config.actions).filter((action) => action.kind === "relay");
  return {
    smtp: {
      pki: only(pki, listeners.flatMap((listener) => listener.pki)),
      ca: only(ca, listeners.flatMap((listener) => listener.ca ?? [])),
    },
    relay: {
      pki: only(pki, relays.flatMap((action) => action.pki ?? [])),
      ca: only(ca, relays.flatMap((action) => action.ca ?? [])),
    },
  };
}

function only<T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.flatMap((name) => all[name] === undefined ? [] : [[name, all[name]]]));
}

const HOSTS = "/etc/hosts";

/** Files that `readResolver` reads. */
export function resolverFiles(env: Environment): string[] {
  return [resolvConfPath(env), HOSTS];
}

/** Resolver settings of this machine: resolv.conf(5) and hosts(5). */
export function readResolver(env: Environment): ResolverSettings {
  const { servers, timeoutMs, attempts } = parseResolvConf(readIfPresent(resolvConfPath(env)) ?? "");
  return { servers, timeoutMs, attempts, hosts: parseHosts(readIfPresent(HOSTS) ?? "") };
}

/** First line of the mail name file, else the host name, with its domain when the hosts file knows it. */
export function readServerName(hosts: ResolverSettings["hosts"]): string {
  const mailname = readIfPresent(MAILNAME)?.split("\n", 1)[0]?.trim();
  if (mailname) return mailname;
  const name = hostname();
  if (name.includes(".")) return name;
  const known = hosts.find(({ names }) => names.some((one) => one.toLowerCase() === name.toLowerCase()));
  return known?.names.find((one) => one.includes(".")) ?? name;
}

/** Text of every address of this machine: IPv4 dotted, IPv6 in brackets. Collected once, at start. */
export function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flat().map((one) =>
    one!.family === "IPv4" ? one!.address : `[${one!.address.replace(/%.*/, "")}]`
  );
}
