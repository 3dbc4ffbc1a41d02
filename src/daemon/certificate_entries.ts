/** What `smtpctl show certificates` lists: each certificate in use, where it comes from, and whether obtaining it fails. */

import { X509Certificate } from "node:crypto";
import type { Config } from "../config/mod.ts";
import type { CertificateEntry, Certificates } from "../protocol/mod.ts";
import { certificateNames } from "../tls/mod.ts";
import { acmeLines, stateOf } from "./acme/acme_files.ts";

/** Returns an entry for each `pki` of the configuration, in its order. */
export function certificateEntries(
  config: Pick<Config, "pki">,
  { pki }: Pick<Certificates, "pki">,
): CertificateEntry[] {
  const obtained = new Map(acmeLines(config).map((line) => [line.name, stateOf(line)]));
  return Object.values(config.pki).flatMap(({ name, acme }) => {
    const pair = pki[name], line = obtained.get(name);
    if (pair === undefined) return [];
    const { issuer, validTo } = new X509Certificate(pair.cert);
    const { until, failures } = line?.putOff ?? { until: 0, failures: 0 };
    return [{
      name,
      source: acme === null ? "file" : line?.chain == null ? "temporary" : "acme",
      notAfter: Date.parse(validTo),
      names: certificateNames(pair.cert),
      issuer: /^CN=(.+)$/m.exec(issuer ?? "")?.[1] ?? "",
      failures,
      retryAt: failures === 0 ? null : until,
    }];
  });
}
