/**
 * Accounts and certificates of ACME on the disk: below the folder of the state, root's alone. A file takes the place of the one before at once, and is on the
 * disk when it is used: a start after any crash finds the old one or the new one whole.
 */

import { dirname } from "node:path";
import type { AcmeChallenge, AcmeOrder, Config, SourceLine } from "../../config/mod.ts";
import { systemReason } from "../../events/mod.ts";
import type { AcmeAccount, AcmeCertificate } from "../../protocol/mod.ts";
import { removeIfPresent } from "../claim.ts";
import { Fatal, gatherNow } from "../fatal.ts";
import { loadAuthority, loadPair, placed, readIfPresent } from "../files.ts";
import { reasonAgainst } from "../programs.ts";

const ANY_ADDRESS = "0.0.0.0";
const FOLDER_MODE = 0o700, FILE_MODE = 0o600;

/** A `pki` line with `acme`. */
export interface AcmeLine {
  readonly name: string;
  /** The file of the certificate and its key. */
  readonly file: string;
  readonly order: AcmeOrder;
}

/** What is remembered of failures, so that a restart does not try at once. */
export interface PutOff {
  readonly until: number;
  readonly failures: number;
}

/** The lines of the configuration whose certificates are obtained. */
export function acmeLines({ pki }: Pick<Config, "pki">): AcmeLine[] {
  return Object.values(pki).flatMap(({ name, certFile, acme }) =>
    acme === null ? [] : [{ name, file: certFile, order: acme }]
  );
}

/** Throws Fatal, which names the lines, when a hook cannot be run or a file of authorities cannot be read. */
export function checkAcme(config: Pick<Config, "pki" | "declared">): void {
  gatherNow(
    acmeLines(config).flatMap(({ name, order }) => {
      const at = config.declared[`pki ${name}`], { ca, hook } = order;
      return [
        () => ca === null ? null : loadAuthority(ca, at),
        () =>
          placed(at, () => {
            const reason = hook === null ? null : reasonAgainst(hook);
            if (reason !== null) throw new Fatal(`pki "${name}": cannot run the hook ${hook}: ${reason}`);
          }),
      ];
    }),
  );
}

/** Where it is listened for authorities, each place once, with the line of the first that has it, and what to do when it cannot be had. */
export function acmePlaces(
  config: Pick<Config, "pki" | "declared">,
): { readonly address: string; readonly port: number; readonly at: SourceLine | undefined; readonly advice: string }[] {
  const places = acmeLines(config).filter(({ order }) => order.challenge !== "dns-01").map(({ name, order }) => ({
    address: order.listen.address ?? ANY_ADDRESS,
    port: order.listen.port,
    at: config.declared[`pki ${name}`],
    advice: elsewhere(order.challenge),
  }));
  return places.filter(({ address, port }, at) =>
    places.findIndex((one) => one.address === address && one.port === port) === at
  );
}

/** What to do where another program has the port of a challenge, for the end of a message. */
export function elsewhere(challenge: AcmeChallenge): string {
  return challenge === "http-01"
    ? '; where a web server has the port, let it pass /.well-known/acme-challenge/ on, and say where to with "listen on 127.0.0.1 port NUMBER"'
    : '; where a web server has the port, use http-01 or dns-01, or let it pass TLS of "acme-tls/1" on to "listen on 127.0.0.1 port NUMBER"';
}

/** What the acme isolate starts with. Without `files` nothing of the state is read: for a check. Throws Fatal. */
export function acmeCertificates(
  config: Pick<Config, "pki" | "declared">,
  { files }: { readonly files: boolean },
): AcmeCertificate[] {
  return acmeLines(config).map((line) => {
    const { name, order } = line, { hook: _, listen: _listen, ca, ...rest } = order;
    return {
      ...rest,
      name,
      ca: ca === null ? null : loadAuthority(ca, config.declared[`pki ${name}`]),
      ...files ? stateOf(line) : { account: null, chain: null, putOff: { until: 0, failures: 0 } },
    };
  });
}

/** Returns what is kept for a line: what cannot be read counts as not there. */
export function stateOf(line: AcmeLine): Pick<AcmeCertificate, "account" | "chain" | "putOff"> {
  return {
    account: readAccount(accountFile(line)),
    chain: chainOf(line),
    putOff: readPutOff(putOffFile(line)),
  };
}

/** The chain that is in use; null when there is none that can be. */
function chainOf({ name, file }: AcmeLine): string | null {
  try {
    return loadPair(name, { certFile: file, keyFile: file }).cert;
  } catch (error) {
    if (error instanceof Fatal) return null;
    throw error;
  }
}

/** Returns the file of the account at the directory of a line. */
export function accountFile({ file }: AcmeLine): string {
  return `${dirname(file)}/account.json`;
}

/** Returns the file of what is remembered of the failures of a line. */
export function putOffFile({ file }: AcmeLine): string {
  return file.replace(/\.pem$/, ".failed.json");
}

/** Null when there is none, or none that can be read: another one is made then. */
function readAccount(path: string): AcmeAccount | null {
  const { key, url, contact } = readRecord(path);
  return typeof key === "string" && typeof url === "string" && typeof contact === "string"
    ? { key, url, contact }
    : null;
}

function readPutOff(path: string): PutOff {
  const { until, failures } = readRecord(path);
  const usable = Number.isSafeInteger(until) && Number.isSafeInteger(failures) && Number(failures) >= 0;
  return usable ? { until: Number(until), failures: Number(failures) } : { until: 0, failures: 0 };
}

function readRecord(path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(readIfPresent(path) ?? "{}");
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

/** Stores an account, what is remembered of failures, or a certificate with its key. Returns why that could not be done, or null. */
export function store(path: string, text: string): string | null {
  try {
    const folder = dirname(path), fresh = `${path}.new`;
    Deno.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
    // What an interrupted start has left.
    removeIfPresent(fresh);
    writeSynced(fresh, text);
    Deno.renameSync(fresh, path);
    using opened = Deno.openSync(folder, { read: true });
    opened.syncSync();
    return null;
  } catch (error) {
    return `cannot write ${path}: ${systemReason(error)}`;
  }
}

function writeSynced(path: string, text: string): void {
  const octets = new TextEncoder().encode(text);
  using file = Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE });
  for (let written = 0; written < octets.length;) written += file.writeSync(octets.subarray(written));
  file.syncSync();
}
