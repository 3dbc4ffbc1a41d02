/** Reads the files that only main may read: certificates and keys with their owner and mode, the mail name, hosts, resolv.conf. */

import { Fatal, gatherNow } from "./fatal.ts";
import type { Config, SourceLine } from "../config/mod.ts";
import { systemReason } from "../events/mod.ts";
import type { Certificates, KeyPair } from "../protocol/mod.ts";
import { readBundle, readPair, selfSignedCertificate } from "../tls/mod.ts";

/** Certificates may be read by all, keys at most by their group (smtpd.conf(5)). */
const CERT_MODE_MASK = 0o7022, KEY_MODE_MASK = 0o7037;

/** Octets of such a file at most. */
const MAX_FILE_OCTETS = 4 * 2 ** 20;

/** PEM text of a certificate, key or CA file. Throws Fatal when its owner or mode is not safe, or it cannot be read. */
function readPem(path: string, what: string, modeMask: number): string {
  const text = readGuarded(path, what, modeMask);
  if (!text.includes("-----BEGIN ")) throw new Fatal(`failed to load ${what} ${path}: it is not in PEM format`);
  return text;
}

/** Text of a file whose owner and mode keep others from reading or changing it. Throws Fatal; does not wait for who writes into a pipe. */
export function readGuarded(path: string, what: string, modeMask = KEY_MODE_MASK): string {
  let info: Deno.FileInfo, text: string;
  try {
    ({ info, text } = readFile(path));
  } catch (error) {
    throw new Fatal(`failed to load ${what} ${path}: ${systemReason(error)}`);
  }
  const owners = new Set([0, Deno.uid()]);
  if (info.uid !== null && !owners.has(info.uid)) {
    throw new Fatal(`failed to load ${what} ${path}: it must be owned by root or by the user that runs smtpd`);
  }
  if (info.mode !== null && (info.mode & modeMask) !== 0) {
    const mode = (info.mode & 0o7777).toString(8).padStart(4, "0");
    throw new Fatal(
      `failed to load ${what} ${path}: mode ${mode} is too open, use chmod ${
        modeMask === KEY_MODE_MASK ? "0600" : "0644"
      }`,
    );
  }
  return text;
}

/** What stat(2) says of a file, and its text. Throws what the system says, and for what is no file. */
function readFile(path: string): { readonly info: Deno.FileInfo; readonly text: string } {
  const info = Deno.statSync(path);
  if (!info.isFile && !info.isDirectory) throw new Error("it is no file");
  if (info.size > MAX_FILE_OCTETS) throw new Error(`it is larger than ${MAX_FILE_OCTETS} octets`);
  return { info, text: Deno.readTextFileSync(path) };
}

/** A certificate and its key that TLS can use; they may stand in one file. Throws Fatal, which begins with `at`. */
export function loadPair(
  name: string,
  { certFile, keyFile }: Pick<Config["pki"][string], "certFile" | "keyFile">,
  at?: SourceLine,
): KeyPair {
  return placed(at, () => {
    // What is in the files comes first: with the two swapped, the mode of neither is what is wrong.
    const mistaken = contentFaults(certFile, keyFile);
    if (mistaken.length > 0) throw new Fatal(...mistaken.map((fault) => `failed to load pki "${name}": ${fault}`));
    const [cert, key] = gatherNow([
      () => readPem(certFile, "certificate", CERT_MODE_MASK),
      () => readPem(keyFile, "key", KEY_MODE_MASK),
    ]);
    const read = readPair({ cert: cert!, key: key! });
    if (read.ok) return read.pair;
    const files = certFile === keyFile ? certFile : `${certFile}, ${keyFile}`;
    throw new Fatal(`failed to load pki "${name}" (${files}): ${read.fault}`);
  });
}

/** So long before a certificate was obtained nobody waits; it is made anew at each start. */
const TEMPORARY_DAYS = 90;

/**
 * The certificate of a line: of its files, or, as long as there is none that was obtained by ACME, one that nobody vouches for, so that TLS can be offered.
 * Throws Fatal, which begins with `at`.
 */
export function loadPki(
  { name, acme, ...files }: Config["pki"][string],
  at?: SourceLine,
): { readonly pair: KeyPair; readonly temporary: boolean } {
  if (acme === null) return { pair: loadPair(name, files, at), temporary: false };
  try {
    return { pair: loadPair(name, files, at), temporary: false };
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    const pair = selfSignedCertificate({
      name: name === "*" ? acme.names[0]! : name,
      now: Date.now(),
      days: TEMPORARY_DAYS,
    });
    return { pair, temporary: true };
  }
}

/** What the files hold that is not what they are named for. Nothing of what cannot be read, which is reported later. */
function contentFaults(certFile: string, keyFile: string): string[] {
  const cert = textOrNone(certFile), key = textOrNone(keyFile);
  const isCert = (text: string) => /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text);
  const isKey = (text: string) => /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(text);
  const noCert = !isCert(cert) && isKey(cert), noKey = !isKey(key) && isCert(key);
  if (noCert && noKey) {
    return [
      `the files are swapped: ${certFile} is the key and ${keyFile} the certificate: write cert "${keyFile}" key "${certFile}"`,
    ];
  }
  return [
    ...noCert ? [`${certFile} is a key, and no certificate is in it`] : [],
    ...noKey ? [`${keyFile} is a certificate, and no key is in it`] : [],
  ];
}

function textOrNone(path: string): string {
  try {
    return readFile(path).text;
  } catch {
    return "";
  }
}

/** A bundle of CA certificates. Throws Fatal, which begins with `at`. */
export function loadAuthority(file: string, at?: SourceLine): string {
  return placed(at, () => {
    const text = readPem(file, "CA file", CERT_MODE_MASK);
    if (readBundle(text).length === 0) throw new Fatal(`failed to load CA file ${file}: it holds no certificate`);
    return text;
  });
}

/** Where systems keep the certificates of the public authorities: Debian and Alpine, Red Hat, SUSE, the BSDs. */
export const SYSTEM_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
/** The name of those among the `ca` of the config. Names in smtpd.conf are lower-case. */
export const SYSTEM_AUTHORITIES = "SYSTEM";

/**
 * The CA files of the config by name, with the system's own when a listener has `verify` without `ca`, and the line of each. Throws Fatal,
 * which begins with that listener's line, when none of `bundles` is there.
 */
export function authoritiesOf(
  config: Pick<Config, "ca" | "declared" | "listen">,
  bundles: readonly string[] = SYSTEM_BUNDLES,
): { readonly name: string; readonly file: string; readonly at: SourceLine | undefined }[] {
  const own = Object.entries(config.ca).map(([name, file]) => ({ name, file, at: config.declared[`ca ${name}`] }));
  const spec = config.listen.find(({ verify, ca }) => verify && ca === null);
  if (spec === undefined) return own;
  const file = bundles.find((path) => isFile(path));
  if (file !== undefined) return [...own, { name: SYSTEM_AUTHORITIES, file, at: spec.at }];
  throw new Fatal(
    `${spec.at.file}:${spec.at.line}: "verify" needs "ca NAME" here: this machine has no certificates of public ` +
      `authorities (looked for ${bundles.join(", ")})`,
  );
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Runs `load`; what it throws as Fatal names the line of the config. */
export function placed<T>(at: SourceLine | undefined, load: () => T): T {
  try {
    return load();
  } catch (error) {
    if (at === undefined || !(error instanceof Fatal)) throw error;
    throw new Fatal(...error.faults.map((fault) => `${at.file}:${at.line}: ${fault}`));
  }
}

/** All key pairs and CA bundles of the config, by name. Throws Fatal. */
export function loadCertificates(config: Config): Certificates {
  const pki: Record<string, KeyPair> = {}, ca: Record<string, string> = {};
  gatherNow([
    ...Object.entries(config.pki).map(([name, files]) => () => {
      pki[name] = loadPki(files, config.declared[`pki ${name}`]).pair;
    }),
    ...authoritiesOf(config).map(({ name, file, at }) => () => {
      ca[name] = loadAuthority(file, at);
    }),
  ]);
  return { pki, ca };
}

/** The text of a file, or null when there is none to read. */
export function readIfPresent(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return null;
  }
}
