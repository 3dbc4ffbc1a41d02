/** Certificates: the names one is for, and whether a client's leads to an authority that we trust. */

import { X509Certificate } from "node:crypto";

/** Certificates between a client's and the authority's. */
const MAX_CHAIN_CERTIFICATES = 8;

/** Lower-case DNS names of a PEM certificate: the subject alternative names, or the common name when there are none (RFC 6125 §6.4.4). */
export function certificateNames(pem: string): readonly string[] {
  const certificate = new X509Certificate(pem);
  const names = (certificate.subjectAltName ?? "").split(/,\s*/)
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice(4).toLowerCase());
  if (names.length > 0) return names;
  const common = /(?:^|[\n,])\s*CN=([^\n,]+)/.exec(certificate.subject ?? "");
  return common === null ? [] : [common[1]!.trim().toLowerCase()];
}

/** True when the name is one of `names`; `*.` at the start of one stands for exactly one label (RFC 6125 §6.4.3). */
export function matchesName(names: readonly string[], name: string): boolean {
  const wanted = name.toLowerCase();
  if (names.includes(wanted)) return true;
  const dot = wanted.indexOf(".");
  return dot > 0 && names.includes(`*${wanted.slice(dot)}`);
}

/** The certificates of a PEM bundle; what is not a certificate is skipped. */
export function readBundle(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch {
      return [];
    }
  });
}

/**
 * Follows a chain (the client's certificate first, then what it sent along) up to one of `trusted`. Null when it gets there and every
 * certificate is valid at `now` (ms since the epoch), else the reason.
 */
export function chainFault(
  chain: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
  now: number,
): string | null {
  let current = chain[0];
  if (current === undefined) return "no certificate presented";
  for (let depth = 0; depth < MAX_CHAIN_CERTIFICATES; depth++) {
    const subject: X509Certificate = current;
    if (now < Date.parse(subject.validFrom) || now > Date.parse(subject.validTo)) return "certificate is not valid now";
    const anchor = trusted.find((one) => one.fingerprint256 === subject.fingerprint256 || issued(one, subject));
    if (anchor !== undefined) {
      const valid = now >= Date.parse(anchor.validFrom) && now <= Date.parse(anchor.validTo);
      return valid ? null : "certificate authority is not valid now";
    }
    const next: X509Certificate | undefined = chain.slice(1).find((one) =>
      one !== subject && one.ca && issued(one, subject)
    );
    if (next === undefined) break;
    current = next;
  }
  return "certificate verify failed";
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
