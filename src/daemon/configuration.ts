/** A configuration with all that it names on this machine, loaded and checked: what the daemon starts with, and what it goes on with when it reads smtpd.conf again. */

import { isDeepStrictEqual } from "node:util";
import type { Config, Environment } from "../config/mod.ts";
import { spoolPath } from "../config/paths.ts";
import { PASSWD, tableFilesOf } from "../lookup/mod.ts";
import type { Listener, LogTarget, ResolverSettings, Settings } from "../protocol/mod.ts";
import { acmeCertificates } from "./acme/acme_files.ts";
import { CertificateKeeper, type KeeperHooks, stampOf } from "./certificates.ts";
import { Fatal } from "./fatal.ts";
import { loadQueueKeys } from "./queue_keys.ts";
import { readSaltKey } from "./saltkey.ts";
import { cutSettings } from "./settings.ts";
import { SigningKeys, type SigningKeysHooks } from "./signing_keys.ts";
import { resolveListeners } from "./sockets/listeners.ts";
import type { ProcessUsers } from "./users.ts";

/** What a configuration is in this daemon. */
export interface Loaded {
  readonly config: Config;
  readonly listeners: readonly Listener[];
  readonly certificates: CertificateKeeper;
  readonly signingKeys: SigningKeys;
  readonly settings: Settings;
  /** Changes with the files that tables are read from. */
  readonly tableStamp: string;
}

/** What the machine and the command line add to it. */
export interface LoadSurroundings {
  readonly env: Environment;
  readonly users: ProcessUsers | null;
  readonly submissionSocket: string;
  readonly serverName: string;
  readonly resolver: ResolverSettings;
  readonly log: readonly LogTarget[];
  readonly descriptors: number | null;
  readonly paused: { readonly smtp: boolean; readonly mda: boolean; readonly mta: boolean };
  /** What `readQueueInput` read. */
  readonly queueInput: string | null;
  readonly certificates: KeeperHooks;
  readonly signing: SigningKeysHooks;
  /** What is in use now; null at the start. */
  readonly running: { readonly config: Config; readonly settings: Settings } | null;
}

/** Loads what `config` names. Throws Fatal. */
export async function loadConfiguration(config: Config, around: LoadSurroundings): Promise<Loaded> {
  const { env, running } = around;
  const listeners = await resolveListeners(config, around.serverName, around.submissionSocket);
  const certificates = new CertificateKeeper(config, around.certificates);
  const signingKeys = new SigningKeys(config, around.signing);
  const saltKey = listeners.some(({ auth }) => auth !== null) ? readSaltKey(spoolPath(env)) : new Uint8Array();
  const settings = cutSettings(config, {
    ...around,
    certificates: certificates.certificates,
    signing: signingKeys.keys,
    acme: acmeCertificates(config, { files: true }),
    queueKeys: queueKeysOf(config, around),
    listeners,
    saltKey,
    running: running?.settings ?? null,
  });
  return { config, listeners, certificates, signingKeys, settings, tableStamp: stampOf(tableFilesOf(settings.lookup)) };
}

/** The files that main reads for tables of these settings. */
export function filesForTables(settings: Settings): readonly string[] {
  return [PASSWD, ...tableFilesOf(settings.lookup)];
}

/** Lines that say which certificates and keys of DKIM are others than before, though the configuration names the same files. */
export function renewed(before: Loaded, after: Loaded): string[] {
  const lines: string[] = [];
  const { pki: old } = before.certificates.certificates, { pki } = after.certificates.certificates;
  for (const [name, pair] of Object.entries(pki)) {
    const files = after.config.pki[name];
    if (old[name] === undefined || files === undefined || isDeepStrictEqual(old[name], pair)) continue;
    lines.push(`info: pki "${name}" was loaded again from ${files.certFile} and ${files.keyFile}`);
  }
  const keysOf = ({ signingKeys }: Loaded) => Map.groupBy(signingKeys.keys, ({ domain }) => domain);
  const known = keysOf(before);
  for (const [domain, keys] of keysOf(after)) {
    const text = (all: readonly { readonly selector: string; readonly key: string }[]) =>
      JSON.stringify(all.map(({ selector, key }) => [selector, key]));
    if (!known.has(domain) || text(known.get(domain)!) === text(keys)) continue;
    lines.push(
      `info: dkim: the keys of ${domain} were loaded again: ${keys.map(({ selector }) => selector).join(", ")}`,
    );
  }
  return lines;
}

/** The keys come from the terminal perhaps, and the queue has opened its database with them. */
function queueKeysOf(config: Config, { running, queueInput }: LoadSurroundings): Settings["queue"]["recordKeys"] {
  if (running === null) return loadQueueKeys(config, queueInput);
  const keys = ({ queue: { encryption, oldKeys } }: Config) => [encryption, oldKeys];
  if (!isDeepStrictEqual(keys(running.config), keys(config))) {
    throw new Fatal(`${config.file}: restart smtpd to change "queue encryption": its keys are set at the start`);
  }
  return running.settings.queue.recordKeys;
}
