/** Whether a key made a signature: RFC 6376 §6.1.3, RFC 8301 and RFC 8463. DKIM and ARC ask for it in the same way. */

import { createHash, createVerify, verify } from "node:crypto";
import type { KeyRecord } from "./key_record.ts";

/** RFC 8301 §3.2: a shorter RSA key proves nothing. */
export const MIN_RSA_BITS = 1024;
/** By how much the clocks of two hosts may differ, in seconds. */
export const CLOCK_SKEW_S = 300;

/** Tells whether `signature` is one of the pieces of header data, one after the other, by the key. False for whatever else; never throws. */
export function verifySignature(
  { key, type }: KeyRecord,
  pieces: readonly Uint8Array[],
  signature: Uint8Array,
): boolean {
  try {
    if (type === "rsa") {
      const verifier = createVerify("RSA-SHA256");
      for (const piece of pieces) verifier.update(piece);
      return verifier.verify(key, signature);
    }
    // RFC 8463 §3: what is signed is the digest.
    const hash = createHash("sha256");
    for (const piece of pieces) hash.update(piece);
    return verify(null, hash.digest(), key, signature);
  } catch {
    return false;
  }
}
