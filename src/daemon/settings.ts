/** Cuts the configuration into the slice of each isolate. An isolate gets nothing that it does not need: only smtp and relay see keys of TLS, only the signer those of DKIM. */

import { connectionLimits } from "./machine/shares.ts";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { adminPlace } from "../config/admin.ts";
import type { Action, Config, Environment, FilterStep, LocalAction, RelayAction, RelayLimits } from "../config/mod.ts";
import { testOf } from "../config/filter_condition.ts";
import { limitsFor } from "../config/limits.ts";
import { historyPath, mailDirectory, spoolPath, VERSION } from "../config/paths.ts";
import { MAC_KEY_OCTETS, type SrsKeys } from "../mac/mod.ts";
import type {
  AcmeCertificate,
  Certificates,
  ControlSettings,
  DeliverySettings,
  FilterSettings,
  Listener,
  LogTarget,
  LookupSettings,
  QueueKeys,
  QueueSettings,
  RelaySettings,
  ResolverSettings,
  SchedulerSettings,
  Settings,
  SharedSettings,
  SignerSettings,
  SmtpSettings,
  TaskMarks,
} from "../protocol/mod.ts";
import { tableFilesOf } from "../lookup/mod.ts";
import { LIBCRYPTO_PATHS } from "../signer/mod.ts";
import { closedTo } from "./checks/user_access.ts";
import type { LoadedKey } from "./signing_key_files.ts";
import type { ProcessUsers } from "./users.ts";
import { localAddresses } from "./machine/machine_names.ts";
import { commandUser, filterPrograms, processesOf, programUser } from "./programs.ts";

/** What the machine and the command line add to the configuration. */
export interface Surroundings {
  readonly env: Environment;
  /** Whom the processes run as; null: all runs in one. */
  readonly users: ProcessUsers | null;
  readonly certificates: Certificates;
  readonly listeners: readonly Listener[];
  /** Keys of DKIM that sign now; absent: none. */
  readonly signing?: readonly LoadedKey[];
  /** Certificates that are obtained by ACME; absent: none. */
  readonly acme?: readonly AcmeCertificate[];
  /** Null when stored mail is not encrypted. */
  readonly queueKeys: QueueKeys | null;
  /** See saltkey.ts. */
  readonly saltKey: Uint8Array;
  readonly serverName: string;
  readonly resolver: ResolverSettings;
  /** Where the log goes. */
  readonly log: readonly LogTarget[];
  /** How many files the process may open; null when it cannot be determined. */
  readonly descriptors: number | null;
  readonly paused: { readonly mda: boolean; readonly mta: boolean; readonly smtp: boolean };
  /** Of the daemon that reads its configuration again: the keys that its isolates share, and since when it runs. Null, or absent, at the start. */
  readonly running?: Settings | null;
}

/** Idle time after which a session is closed with 421 4.4.2 (RFC 5321 §4.5.3.2.7 asks for 5 minutes). */
const IDLE_TIMEOUT_MS = 300_000;

/** PATH of programs and delivery commands: the system's default, nothing of the daemon's own environment. */
export const COMMAND_PATH = "/usr/bin:/bin";

/** What the settings of several isolates have in common. */
interface Common {
  readonly config: Config;
  readonly around: Surroundings;
  readonly shared: SharedSettings;
  readonly certificates: ReturnType<typeof cutCertificates>;
  /** Shared by lookup, which decides about envelopes, and the queue, which takes no others. */
  readonly envelopeMacKey: Uint8Array;
  /** Shared by the scheduler, which gives jobs to relay and delivery, and the queue, which opens nothing else to them. */
  readonly jobMacKey: Uint8Array;
  /** Shared by lookup, which says what may be signed, and the signer. */
  readonly signingMacKey: Uint8Array;
}

/** Returns the settings of every isolate: what smtpd.conf and the machine say, cut to what each role needs. */
export function cutSettings(config: Config, around: Surroundings): Settings {
  const shared: SharedSettings = {
    serverName: around.serverName,
    version: VERSION,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    root: Deno.uid() === 0,
  };
  const reporting: SharedSettings = config.history === null ? shared : { ...shared, recording: true };
  const common: Common = {
    config,
    around,
    shared: reporting,
    certificates: cutCertificates(config, around),
    envelopeMacKey: around.running?.queue.envelopeMacKey ?? newMacKey(),
    jobMacKey: around.running?.queue.jobMacKey ?? newMacKey(),
    signingMacKey: around.running?.signer.signingMacKey ?? newMacKey(),
  };
  const delivery = deliverySettings(common);
  return {
    smtp: smtpSettings(common),
    lookup: lookupSettings(common),
    queue: queueSettings(common),
    scheduler: schedulerSettings(common),
    relay: relaySettings(common),
    delivery,
    privileged: delivery,
    mailbox: { shared },
    file: { shared },
    forward: { shared },
    filter: { ...filterSettings(common), shared },
    login: { shared },
    signer: {
      shared: reporting,
      ...cutKeys(around.signing ?? []).signer,
      signingMacKey: common.signingMacKey,
      libcrypto: signs(around) ? libcryptoPath() : null,
    },
    history: {
      shared: reporting,
      policy: config.history,
      folder: historyPath(around.env),
      reserve: config.queue.reserve,
    },
    acme: { shared: reporting, certificates: around.acme ?? [] },
    control: controlSettings(common),
  };
}

function newMacKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(MAC_KEY_OCTETS));
}

function smtpSettings({ config, around, shared, certificates }: Common): SmtpSettings {
  return {
    shared,
    listeners: around.listeners,
    ...certificates.smtp,
    ...limitsFor("smtp", "smtp", config.smtp),
    maxMessageBytes: config.smtp.maxMessageBytes,
    bannerDelayMs: config.smtp.bannerDelaySeconds * 1000,
    trusted: config.smtp.trusted,
    idleTimeoutMs: IDLE_TIMEOUT_MS,
    rulesSeeMailAuth: config.rules.some(({ mailAuth }) => mailAuth !== null),
    filters: only(config.filters, around.listeners.flatMap(({ filter }) => filter ?? [])),
    ...signs(around) ? cutKeys(around.signing).others : {},
    ...(config.dmarcReports === null ? {} : { dmarcReports: config.dmarcReports.from }),
    ...(config.history?.refs === true ? { refs: true } : {}),
  };
}

function lookupSettings({ config, around, shared, envelopeMacKey, signingMacKey }: Common): LookupSettings {
  return {
    shared,
    tables: config.tables,
    tableFiles: config.tableFiles,
    closedFiles: around.users === null ? [] : closedTo(around.users.smtpd, tableFilesOf(config)),
    programTables: Object.keys(config.programs),
    authTables: [...new Set(around.listeners.flatMap(({ auth }) => auth === null ? [] : [auth.table]))],
    saltKey: around.saltKey,
    filterTables: [
      ...Object.values(config.filters).flat().flatMap(tableOf),
      ...around.listeners.flatMap(({ mailAuth }) => mailAuth?.trusted ?? []),
    ],
    answersDns: around.listeners.some(({ mailAuth }) => mailAuth !== null),
    senderTables: around.listeners.flatMap(({ senders }) => senders === null ? [] : [senders.table]),
    hostnameTables: around.listeners.flatMap(({ hostnames }) => hostnames ?? []),
    rules: config.rules,
    actions: config.actions,
    subAddressDelimiter: config.smtp.subAddressDelimiter,
    localAddresses: localAddresses(),
    envelopeMacKey,
    ...signs(around) ? { signingMacKey } : {},
    ...srsOf(config),
    commandUser: commandUser(around.env),
    resolver: around.resolver,
  };
}

function queueSettings({ config, around, shared, envelopeMacKey, jobMacKey }: Common): QueueSettings {
  const actions = Object.values(config.actions);
  return {
    shared,
    spool: spoolPath(around.env),
    reserve: config.queue.reserve,
    compression: config.queue.compression,
    recordKeys: around.queueKeys,
    ttlSeconds: config.queue.ttlSeconds,
    actionTtlSeconds: Object.fromEntries(actions.map((action) => [action.name, action.ttlSeconds])),
    warnIntervalsSeconds: config.bounce.warnIntervalsSeconds,
    envelopeMacKey,
    jobMacKey,
    ...signs(around) ? cutKeys(around.signing).others : {},
    ...(config.dmarcReports === null
      ? {}
      : { dmarcReports: { from: config.dmarcReports.from, host: around.serverName } }),
  };
}

function schedulerSettings({ config, around, shared, jobMacKey }: Common): SchedulerSettings {
  const { mda, mta, scheduler } = config;
  return {
    shared,
    jobMacKey,
    ...limitsFor("scheduler", "scheduler", scheduler),
    maxPerUser: mda.taskHiwat,
    maxPerDestination: mta.limits.taskHiwat,
    marks: {
      mda: marksOf(mda),
      mta: marksOf(mta.limits),
      domains: Object.fromEntries(
        Object.entries(mta.domainLimits).map(([domain, limits]) => [
          domain,
          { hiwat: limits.taskHiwat, ...marksOf(limits) },
        ]),
      ),
    },
    smarthostActions: Object.values(ofKind<RelayAction>(config, "relay"))
      .flatMap(({ name, host }) => host === null ? [] : [name]),
    paused: around.paused,
  };
}

/** When a lane that is full gets more, from the `task-lowat` and `task-release` of a limit line. */
function marksOf({ taskLowat, taskRelease }: Config["mda"] | RelayLimits): Omit<TaskMarks, "hiwat"> {
  return { lowat: taskLowat, release: taskRelease };
}

function relaySettings({ config, around, shared, certificates }: Common): RelaySettings {
  const actions = ofKind<RelayAction>(config, "relay");
  return {
    shared,
    maxDeferred: config.mta.maxDeferred,
    actions,
    ...certificates.relay,
    limits: config.mta.limits,
    domainLimits: config.mta.domainLimits,
    filters: Object.fromEntries(
      Object.values(actions).flatMap(({ name, filter }) =>
        filter === null ? [] : [[name, processesOf(config, filter)]]
      ),
    ),
    ...srsOf(config),
    resolver: around.resolver,
    own: {
      names: [...new Set([around.serverName, hostname(), ...around.listeners.map((listener) => listener.hostname)])],
      listeners: around.listeners.flatMap(({ socket, address, port }) => socket ? [] : [{ address, port }]),
    },
  };
}

function deliverySettings({ config, around, shared }: Common): DeliverySettings {
  return {
    shared,
    actions: ofKind<LocalAction>(config, "local"),
    ...limitsFor("mda", "delivery", config.mda),
    subAddressDelimiter: config.smtp.subAddressDelimiter,
    mailDirectory: mailDirectory(around.env),
    path: COMMAND_PATH,
    helpers: fileURLToPath(new URL("../../scripts", import.meta.url)),
    uid: Deno.uid() ?? 0,
    gid: Deno.gid() ?? 0,
    ...queueUidOf(around.users),
  };
}

/** Where there is one user only, programs of the mail system may run as that one. */
function queueUidOf(users: ProcessUsers | null): Pick<DeliverySettings, "queueUid"> {
  return users === null || users.smtpq.uid === users.smtpd.uid ? {} : { queueUid: users.smtpq.uid };
}

function filterSettings({ config, around, shared }: Common): FilterSettings {
  return {
    shared,
    tables: Object.values(config.programs),
    filters: filterPrograms(config, around.env, around.listeners),
    admd: config.admd ?? around.serverName,
    sessionTimeoutMs: IDLE_TIMEOUT_MS,
    identity: shared.root && Object.keys(config.programs).length > 0 ? programUser(around.env) : null,
    path: COMMAND_PATH,
  };
}

function controlSettings({ config, around, shared }: Common): ControlSettings {
  return {
    shared,
    admin: config.admin.map((listener) => ({ ...listener, place: adminPlace(listener) })),
    maxConnections: connectionLimits(around.descriptors),
    log: around.log,
    startedAt: around.running?.control.startedAt ?? Date.now(),
    pid: Deno.pid,
    listing: { envelopes: config.scheduler.maxEvpBatchSize, messages: config.scheduler.maxMsgBatchSize },
    uid: Deno.uid() ?? 0,
    paused: around.paused,
  };
}

function ofKind<A extends Action>({ actions }: Config, kind: A["kind"]): Record<string, A> {
  const found = Object.values(actions).filter((one): one is A => one.kind === kind);
  return Object.fromEntries(found.map((one) => [one.name, one]));
}

function srsOf({ srs }: Config): { srs?: SrsKeys } {
  return srs === null ? {} : { srs };
}

/** The table that a built-in filter looks into. */
function tableOf(step: FilterStep): string[] {
  const test = step.kind === "process" ? null : testOf(step.condition);
  return test === null ? [] : [test.table];
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

/** Returns where the system's libcrypto is; null where there is none, and in a compiled program, whose processes have no permissions of their own. */
function libcryptoPath(): string | null {
  if (Deno.build.standalone || Deno.build.os !== "linux") return null;
  return LIBCRYPTO_PATHS.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  }) ?? null;
}

/** True where there are keys of DKIM. */
function signs(around: Surroundings): around is Surroundings & Required<Pick<Surroundings, "signing">> {
  return around.signing !== undefined && around.signing.length > 0;
}

/** The keys of DKIM go to the signer, and their names to those who ask it. */
export function cutKeys(keys: readonly LoadedKey[]): {
  readonly signer: Pick<SignerSettings, "keys">;
  readonly others: Pick<SmtpSettings, "signing">;
} {
  return {
    signer: { keys: keys.map(({ domain, selector, key }) => ({ domain, selector, key })) },
    others: {
      signing: keys.map(({ domain, selector, algorithm, headers, expireSeconds }) => {
        return { domain, selector, algorithm, headers, expireSeconds };
      }),
    },
  };
}

function only<T>(all: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.flatMap((name) => all[name] === undefined ? [] : [[name, all[name]]]));
}
