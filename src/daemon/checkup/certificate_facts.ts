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
    const shown = listeners.filter(({ pki }) => pki.length < 2).map(({ hostname }) => hostname ?? serverName);
    // A name with a dot is a host's; `*` and words are not.
    const hosts = [...new Set([...shown, name].map((one) => one.toLowerCase()))].filter((one) => /^[^*]+\../.test(one));
    trusted ??= publicAuthorities();
    return [{
      name,
      pem: load(name, pki),
      acme: isRenewed(pki),
      hosts: listeners.length === 0 ? [] : hosts,
      trusted,
      now,
    }];
  });
}

/** Does smtpd get and renew it? */
function isRenewed(pki: Config["pki"][string]): boolean {
  return "acme" in pki && pki.acme !== null;
}

function load(name: string, pki: Config["pki"][string]): CertificateFacts["pem"] {
  try {
    return loadPair(name, pki).cert;
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    return { fault: error.message };
  }
}

function publicAuthorities(): readonly X509Certificate[] | null {
  for (const path of SYSTEM_BUNDLES) {
    const text = readIfPresent(path);
    if (text !== null) return readBundle(text);
  }
  return null;
}
