/** Does a password, or the proof of one, belong to a hash? The schemes that need no C library; crypt(3) of the others is main's business. Keeps nothing. */

import { createHmac, timingSafeEqual } from "node:crypto";
import bcrypt from "bcryptjs";
import { argon2i, argon2id } from "hash-wasm";
import { encrypt } from "unixcrypt";
import type { PasswordCheck } from "../protocol/mod.ts";
import { checkProof, isPasswordOf, parseVerifier, PLAIN_MARK } from "../sasl/mod.ts";

const ARGON2ID =
  /^\$(argon2id?)\$v=19\$m=(\d{1,7}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{16,128})$/;
const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/;
const SHA_CRYPT = /^(\$[56]\$(?:rounds=\d{1,9}\$)?[^$:\s]{0,16})\$[./A-Za-z0-9]+$/;

/**
 * Computes the hash of `password` as `hash` was computed and compares the two in constant time. `unknown`: the hash is of no scheme that is
 * known here, or damaged.
 */
export async function verify(password: string, hash: string): Promise<PasswordCheck> {
  try {
    if (hash.startsWith("SCRAM-")) {
      const verifier = parseVerifier(hash);
      return verifier === null ? "unknown" : await isPasswordOf(password, verifier) ? "match" : "mismatch";
    }
    if (hash.startsWith(PLAIN_MARK)) return isSame(password, hash.slice(PLAIN_MARK.length)) ? "match" : "mismatch";
    const made = await computed(password, hash);
    return made === null ? "unknown" : same(made, hash) ? "match" : "mismatch";
  } catch {
    return "unknown";
  }
}

/** Does the proof of a SCRAM exchange, whose AuthMessage (RFC 5802 §3) is `message`, fit the verifier? `unknown`: that is damaged. */
export function prove(text: string, message: string, proof: string): { result: PasswordCheck; signature: string } {
  const verifier = parseVerifier(text);
  if (verifier === null) return { result: "unknown", signature: "" };
  const { ok, signature } = checkProof(verifier, message, proof);
  return { result: ok ? "match" : "mismatch", signature };
}

async function computed(password: string, hash: string): Promise<string | null> {
  const sha = SHA_CRYPT.exec(hash);
  if (sha !== null) return encrypt(password, sha[1]!);
  if (BCRYPT.test(hash)) return await bcrypt.hash(password, hash.slice(0, 29));
  const argon = ARGON2ID.exec(hash);
  if (argon === null) return null;
  const [, variant, memorySize, iterations, parallelism, salt, sum] = argon;
  return await (variant === "argon2i" ? argon2i : argon2id)({
    password,
    salt: bytesOf(salt!),
    memorySize: Number(memorySize),
    iterations: Number(iterations),
    parallelism: Number(parallelism),
    hashLength: bytesOf(sum!).length,
    outputType: "encoded",
  });
}

/** Compares passwords of any length in a time that does not depend on how much of them is right. */
function isSame(one: string, other: string): boolean {
  const key = crypto.getRandomValues(new Uint8Array(32));
  const sum = (text: string) => createHmac("sha256", key).update(text).digest();
  return timingSafeEqual(sum(one), sum(other));
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function same(first: string, second: string): boolean {
  const a = new TextEncoder().encode(first), b = new TextEncoder().encode(second);
  return a.length === b.length && timingSafeEqual(a, b);
}
