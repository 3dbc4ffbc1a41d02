/** What `pki NAME acme` says by itself: the port of each challenge, and where an account and a certificate are kept. */

import type { AcmeChallenge } from "./types.ts";

export const ACME_CHALLENGES: readonly AcmeChallenge[] = ["http-01", "tls-alpn-01", "dns-01"];
/** Where the authority connects to (RFC 8555 §8.3, RFC 8737 §3); dns-01 has none. */
export const ACME_PORTS: Readonly<Record<AcmeChallenge, number>> = { "http-01": 80, "tls-alpn-01": 443, "dns-01": 0 };

/** Octets that a name of a file may have, with room for an ending. */
const MAX_NAME_OCTETS = 200;

/**
 * Returns the name of the folder for what belongs to a directory's URL, such as `acme-v02.api.letsencrypt.org_directory`; null when it were too long.
 * Two URLs have two names.
 */
export function acmeFolder(directory: string): string | null {
  const name = directory.replace(/^https:\/\//, "").replace(
    /[^A-Za-z0-9.-]/g,
    (sign) => sign === "/" ? "_" : `~${sign.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return name.length <= MAX_NAME_OCTETS ? name : null;
}

/** Returns the path of the file that holds a certificate and its key. `name`: of the `pki` line. */
export function acmePairFile(state: string, { name, directory }: {
  readonly name: string;
  readonly directory: string;
}): string {
  return `${state}/acme/${acmeFolder(directory)}/${name === "*" ? "_" : name}.pem`;
}
