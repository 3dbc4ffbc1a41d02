/** A private key's part of a signature, for the isolate that holds the keys: it sees a digest and nothing of the message. */

import { Buffer } from "node:buffer";
import { constants, type KeyObject, privateEncrypt, sign } from "node:crypto";

/** DigestInfo of SHA-256 without its digest, RFC 8017 §9.2. */
const SHA256_INFO = Buffer.from("3031300d060960864801650304020105000420", "hex");
const SHA256_OCTETS = 32;

/**
 * Signs the SHA-256 of header data: RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) with an RSA key, Ed25519 of the digest (RFC 8463 §3) with the other kind. Throws
 * for another kind of key, and for what is no SHA-256.
 */
export function signHash(key: KeyObject, hash: Uint8Array): Uint8Array {
  if (hash.length !== SHA256_OCTETS) throw new Error(`A SHA-256 has ${SHA256_OCTETS} octets, not ${hash.length}`);
  if (key.asymmetricKeyType === "ed25519") return new Uint8Array(sign(null, hash, key));
  if (key.asymmetricKeyType !== "rsa") throw new Error("DKIM signs with an RSA or an Ed25519 key");
  const info = Buffer.concat([SHA256_INFO, hash]);
  return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info));
}
