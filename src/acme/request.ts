/** The key of a certificate and the request for it (PKCS #10, RFC 2986). */

import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import {
  bitString,
  der,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  pem,
  sequence,
  set,
} from "../tls/mod.ts";

const EXTENSION_REQUEST = "1.2.840.113549.1.9.14", SUBJECT_ALTERNATIVE_NAME = "2.5.29.17";
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2", RSA_WITH_SHA256 = "1.2.840.113549.1.1.11";
const DNS_NAME = 2, NULL = 0x05;
const KEYS = {
  ecdsa: { name: "ECDSA", namedCurve: "P-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: Uint8Array.of(1, 0, 1),
    hash: "SHA-256",
  },
} as const;

export type KeyType = keyof typeof KEYS;

/** Makes the key of a certificate, off the thread, as PEM (PKCS #8). */
export async function makeCertificateKey(type: KeyType): Promise<string> {
  const pair = await crypto.subtle.generateKey(KEYS[type], true, ["sign", "verify"]) as CryptoKeyPair;
  return pem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)));
}

/** Returns the request for a certificate of these names (DER). The subject is empty: authorities look at the names alone (RFC 8555 §7.4). */
export function certificateRequest(names: readonly string[], key: string): Uint8Array<ArrayBuffer> {
  const privateKey = createPrivateKey(key);
  const san = sequence(...names.map((name) => implicit(DNS_NAME, new TextEncoder().encode(name))));
  const extensions = sequence(sequence(objectIdentifier(SUBJECT_ALTERNATIVE_NAME), octetString(san)));
  const requested = sequence(
    integer(Uint8Array.of(0)),
    sequence(),
    new Uint8Array(createPublicKey(privateKey).export({ type: "spki", format: "der" })),
    // [0] IMPLICIT SET OF Attribute.
    explicit(0, sequence(objectIdentifier(EXTENSION_REQUEST), set(extensions))),
  );
  const algorithm = privateKey.asymmetricKeyType === "rsa"
    ? sequence(objectIdentifier(RSA_WITH_SHA256), der(NULL))
    : sequence(objectIdentifier(ECDSA_WITH_SHA256));
  return sequence(requested, algorithm, bitString(new Uint8Array(sign("sha256", requested, privateKey))));
}
