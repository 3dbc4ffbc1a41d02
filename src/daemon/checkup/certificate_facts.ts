/** The certificates of the configuration with the names of the listeners that show them, read from their files. */

import type { X509Certificate } from "node:crypto";
import type { Config } from "../../config/mod.ts";
import type { CertificateFacts } from "../../checkup/mod.ts";
import { readBundle } from "../../tls/mod.ts";
import { Fatal } from "../fatal.ts";
import { loadPair, readIfPresent, SYSTEM_BUNDLES } from "../files.ts";

/** Facts about each pki that a listener or an action uses. `now`: milliseconds since the epoch. */
export function certificateFacts(config: Config, serverName: string, now: number): readonly CertificateFacts[] {
  let trusted: readonly X509Certificate[] | null | undefined;
  return Object.entries(config.pki).flatMap(([name, pki]): CertificateFacts[] => {
    const listeners = config.listen.filter((one) =>
      one.tls !== "none" && (one.pki.length === 0 || one.pki.includes(name))
    );
    // Where a listener has several, they are chosen by the name that clients ask for.
    const shown = listeners.map(({ pki, hostname }) => pki.length > 1 ? name : hostname ?? serverName);
    // A name with a dot is a host's; `*` and words are not.
    const hosts = [...new Set(shown.map((one) => one.toLowerCase()))].filter((one) => /^[^*]+\../.test(one));
    trusted ??= publicAuthorities();
    return [{
      name,
      pem: load(name, pki),
      acme: isRenewed(pki),
      hosts,
      trusted,
      now,
    }];
  });
}

/** Does smtpd get and renew it? */
function isRenewed(pki: Config["pki"][string]): boolean {
  return pki.acme !== null;
}

function load(name: string, pki: Config["pki"][string]): CertificateFacts["pem"] {
  try {
    if (pki.acme !== null && !isThere(pki.certFile)) return { fault: "none was obtained yet" };
    return loadPair(name, pki).cert;
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    return { fault: error.message };
  }
}

/** True as well for what may not be looked at. */
function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

function publicAuthorities(): readonly X509Certificate[] | null {
  for (const path of SYSTEM_BUNDLES) {
    const text = readIfPresent(path);
    if (text !== null) return readBundle(text);
  }
  return null;
}
