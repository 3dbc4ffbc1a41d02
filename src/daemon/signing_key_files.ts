/**
 * The files of DKIM keys and of their rotations: read with their owner and mode, made and written. Decides nothing about what signs when; see
 * signing_keys.ts.
 */

import { dirname, resolve } from "node:path";
import type { Config, DkimLine } from "../config/mod.ts";
import {
  ed25519Selector,
  formatRotation,
  type KeyAlgorithm,
  keyFileName,
  makeKey,
  type NamedKey,
  newSelector,
  parseRotation,
  readKeyFile,
  type Rotation,
  rotationName,
  signingKeys,
  waitingKeys,
} from "../dkim_keys/mod.ts";
import type { SigningKey, SigningKeyName } from "../protocol/mod.ts";
import { removeIfPresent } from "./claim.ts";
import { Fatal, gatherNow } from "./fatal.ts";
import { placed, readGuarded } from "./files.ts";

const KEY_MODE = 0o600;

/** A key with what is known of it. */
export interface LoadedKey extends SigningKey, SigningKeyName {
  readonly keyFile: string;
  /** Its TXT record. */
  readonly record: string;
}

/** All that is known of the keys of one domain. */
export interface DomainKeys {
  readonly domain: string;
  readonly rotationFile: string;
  readonly rotation: Rotation;
  /** RSA first, which all receivers know. */
  readonly signing: readonly LoadedKey[];
  readonly waiting: readonly LoadedKey[];
}

/** The keys that sign by this configuration. Throws Fatal, which begins with the line. */
export function loadSigningKeys(config: Pick<Config, "dkim">): readonly LoadedKey[] {
  return gatherNow(domainsOf(config).map((lines) => () => loadDomain(lines).signing)).flat();
}

/** The lines of each domain together. */
export function domainsOf({ dkim }: Pick<Config, "dkim">): readonly (readonly DkimLine[])[] {
  return [...Map.groupBy(dkim, ({ domain }) => domain).values()];
}

/** A line as the key that it names. */
export function namedOf({ selector, keyFile }: DkimLine): NamedKey {
  return { selector, keyFile: resolve(keyFile) };
}

/** The files that are looked at for changes. */
export function filesOf({ rotationFile, signing, waiting }: DomainKeys): readonly string[] {
  return [rotationFile, ...[...signing, ...waiting].map(({ keyFile }) => keyFile)];
}

/** The same for keys that are the same. */
export function textOf({ signing, waiting }: DomainKeys): string {
  return JSON.stringify([signing, waiting]);
}

/** Loads the keys of the lines of one domain. Throws Fatal, which begins with a line. */
export function loadDomain(lines: readonly DkimLine[]): DomainKeys {
  const { domain, keyFile, at } = lines[0]!;
  const rotationFile = `${dirname(resolve(keyFile))}/${rotationName(domain)}`;
  const rotation = placed(at, () => readRotation(rotationFile));
  const named = lines.map(namedOf);
  const load = (keys: readonly NamedKey[]) =>
    gatherNow(keys.map((key) => () => {
      const line = lines.find(({ selector }) => selector === key.selector) ?? lines[0]!;
      return placed(line.at, () => loadKey(key, line));
    })).sort((one, other) => rankOf(one) - rankOf(other));
  return {
    domain,
    rotationFile,
    rotation,
    signing: load(signingKeys(named, rotation)),
    waiting: load(waitingKeys(named, rotation)),
  };
}

function rankOf({ algorithm }: LoadedKey): number {
  return algorithm === "rsa-sha256" ? 0 : 1;
}

/** `line`: of the key, or of the one that it stands for. */
function loadKey(
  { selector, keyFile }: NamedKey,
  { domain, headers, expireSeconds }: Pick<DkimLine, "domain" | "headers" | "expireSeconds">,
): LoadedKey {
  const key = readGuarded(keyFile, "dkim key");
  const read = readKeyFile(key);
  if (!read.ok) throw new Fatal(`failed to load dkim key ${keyFile}: ${read.fault}`);
  const { algorithm, record } = read;
  return { domain, selector, algorithm, headers, expireSeconds, key, keyFile, record };
}

function readRotation(path: string): Rotation {
  if (!exists(path)) return [];
  const rotation = parseRotation(readGuarded(path, "dkim rotation"));
  if (typeof rotation === "string") throw new Fatal(`failed to load dkim rotation ${path}: ${rotation}`);
  return rotation;
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** Takes the place of the file at once, and is on the disk when this returns. Throws what the system says. */
export function writeRotation(path: string, domain: string, rotation: Rotation): void {
  const fresh = `${path}.new`;
  // What an interrupted start has left, or a link that somebody has laid there.
  removeIfPresent(fresh);
  writeSynced(fresh, formatRotation(domain, rotation));
  Deno.renameSync(fresh, path);
  // So are the names of keys that were made before.
  using folder = Deno.openSync(dirname(path), { read: true });
  folder.syncSync();
}

/** Makes a file whose octets are on the disk when this returns. */
function writeSynced(path: string, text: string): void {
  const octets = new TextEncoder().encode(text);
  using file = Deno.openSync(path, { write: true, createNew: true, mode: KEY_MODE });
  for (let written = 0; written < octets.length;) written += file.writeSync(octets.subarray(written));
  file.syncSync();
}

/** Makes a key of each kind in files of their own. Throws what the system says. */
export async function makeKeys(order: {
  readonly domain: string;
  readonly folder: string;
  readonly algorithms: ReadonlySet<KeyAlgorithm>;
  readonly year: string;
  readonly known: DomainKeys;
}): Promise<readonly NamedKey[]> {
  const { domain, folder, known } = order;
  const used = new Set([...known.rotation, ...known.signing].map(({ selector }) => selector));
  const fileOf = (selector: string) => `${folder}/${keyFileName(domain, selector)}`;
  const isTaken = (selector: string) => used.has(selector) || exists(fileOf(selector));
  const rsa = newSelector(order.year, (selector) => isTaken(selector) || isTaken(ed25519Selector(selector)));
  const made: NamedKey[] = [];
  for (const algorithm of order.algorithms) {
    const selector = algorithm === "rsa-sha256" ? rsa : ed25519Selector(rsa);
    const keyFile = fileOf(selector);
    writeSynced(keyFile, await makeKey(algorithm));
    made.push({ selector, keyFile });
  }
  return made;
}
