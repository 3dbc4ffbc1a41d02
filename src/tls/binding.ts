/** Channel binding `tls-server-end-point`, RFC 5929 §4: ties a login to the certificate that the server showed. */

import { createHash, X509Certificate } from "node:crypto";

/** The hash of each signature algorithm; RFC 5929 §4.1 puts SHA-256 in the place of MD5 and SHA-1. */
const HASHES: Readonly<Record<string, string>> = {
  // RSA with MD5, SHA-1 and SHA-2 (RFC 8017)
  "1.2.840.113549.1.1.4": "sha256",
  "1.2.840.113549.1.1.5": "sha256",
  "1.2.840.113549.1.1.14": "sha224",
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  // ECDSA (RFC 5758)
  "1.2.840.10045.4.1": "sha256",
  "1.2.840.10045.4.3.1": "sha224",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
};

/**
 * The binding of connections on which this certificate (the first of a PEM text) is shown, in base64. Null where RFC 5929 defines none:
 * Ed25519 and its like have no hash of their own, and that of RSA-PSS stands in parameters which the runtime does not give.
 */
export function endPointBinding(pem: string): string | null {
  const certificate = new X509Certificate(pem) as X509Certificate & { readonly signatureAlgorithmOid?: string };
  const hash = HASHES[certificate.signatureAlgorithmOid ?? ""];
  return hash === undefined ? null : createHash(hash).update(certificate.raw).digest("base64");
}
