/**
 * SCRAM verifiers, RFC 5802 §3 with SHA-256 (RFC 7677): what a table keeps instead of a password, written as RFC 5803 and PostgreSQL do:
 * `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the last three in base64. Keeps nothing.
 */

import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2, timingSafeEqual } from "node:crypto";
import { prepare } from "./prepare.ts";

export interface Verifier {
  readonly iterations: number;
  /** In base64. */
  readonly salt: string;
  /** Secret: whoever has it can find out whether a password is right. */
  readonly storedKey: Uint8Array;
  /** Secret: whoever has it can pass for the server. */
  readonly serverKey: Uint8Array;
}

/** RFC 7677 §4 asks for no fewer iterations; more than the upper bound would delay all logins. */
const MIN_ITERATIONS = 4096, MAX_ITERATIONS = 10_000_000;
const KEY_BYTES = 32;
/** Shapes that are counted apart. */
const SHAPES = 1000;
/** Values that are looked at: lookup answers nothing else meanwhile, for some 2 µs each. */
const MAX_VALUES = 100_000;
const SCHEME = "SCRAM-SHA-256$";
const FORM = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z0-9+/]{11,172}={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** dovecot's form of the same: the parts between commas, behind the name of the scheme. */
const BRACED = /^(?:[^{]*:)?\{SCRAM-SHA-256\}(\d{1,8}),([^,]+),([^,]+),([^,]+)$/i;

/**
 * The verifier in the value of a table, `verifier` or `user:verifier`, that of dovecot written as ours; null when the value is something else.
 * Does not look at its keys.
 */
export function verifierIn(value: string): string | null {
  if (value.includes("{")) {
    const [, iterations, salt, storedKey, serverKey] = BRACED.exec(value.trim()) ?? [];
    if (iterations !== undefined) return `${SCHEME}${iterations}:${salt}$${storedKey}:${serverKey}`;
  }
  const start = value.startsWith(SCHEME) ? 0 : value.indexOf(`:${SCHEME}`) + 1;
  return start === 0 && !value.startsWith(SCHEME) ? null : value.slice(start).trim();
}

/** What verifiers that were made alike have in common. */
export interface ScramShape {
  readonly iterations: number;
  readonly saltBytes: number;
}

/** The most common shape of the values of a table; null when one holds no verifier, there are none, or more than MAX_VALUES. */
export function scramShape(values: Iterable<string>): ScramShape | null {
  const counts = new Map<string, number>();
  let seen = 0;
  for (const value of values) {
    if (++seen > MAX_VALUES) return null;
    const text = verifierIn(value);
    if (text === null) return null;
    const head = text.slice(SCHEME.length, text.indexOf("$", SCHEME.length));
    const colon = head.indexOf(":");
    const shape = `${head.slice(0, colon)} ${atobLength(head.slice(colon + 1))}`;
    if (counts.has(shape) || counts.size < SHAPES) counts.set(shape, (counts.get(shape) ?? 0) + 1);
  }
  const [common] = [...counts].sort(([, one], [, other]) => other - one);
  if (common === undefined) return null;
  const [iterations = 0, saltBytes = 0] = common[0].split(" ").map(Number);
  return iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS && saltBytes > 0
    ? { iterations, saltBytes: Math.min(saltBytes, KEY_BYTES) }
    : null;
}

/** Octets that a padded base64 text stands for. */
function atobLength(text: string): number {
  return text.length / 4 * 3 - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}

/** Null when it is malformed, or has too few iterations or too many. */
export function parseVerifier(text: string): Verifier | null {
  const [, iterations, salt, storedKey, serverKey] = FORM.exec(text) ?? [];
  if (iterations === undefined || salt!.length % 4 !== 0) return null;
  const count = Number(iterations);
  if (count < MIN_ITERATIONS || count > MAX_ITERATIONS) return null;
  return { iterations: count, salt: salt!, storedKey: bytesOf(storedKey!), serverKey: bytesOf(serverKey!) };
}

/** The verifier of a password; null when SASLprep refuses the password. `iterations` as in MIN_ITERATIONS. */
export async function makeVerifier(password: string, salt: Uint8Array, iterations: number): Promise<string | null> {
  const prepared = prepare(password, "stored");
  if (prepared === null) return null;
  const salted = await saltedPassword(prepared, salt, iterations);
  const stored = sha256(hmac(salted, "Client Key")), server = hmac(salted, "Server Key");
  return `${SCHEME}${iterations}:${base64(salt)}$${base64(stored)}:${base64(server)}`;
}

/** Is this the password? Takes as long for a wrong one as for the right one. */
export async function isPasswordOf(password: string, verifier: Verifier): Promise<boolean> {
  const prepared = prepare(password, "query");
  // What cannot be a password costs what one does.
  const salted = await saltedPassword(prepared ?? password, bytesOf(verifier.salt), verifier.iterations);
  const same = timingSafeEqual(sha256(hmac(salted, "Client Key")), verifier.storedKey);
  return same && prepared !== null;
}

/**
 * Does `proof` (base64) show that the client knows the password? RFC 5802 §3. The signature, in base64, proves the server to the client and is
 * "" when the client has not proved itself.
 */
export function checkProof(verifier: Verifier, authMessage: string, proof: string): { ok: boolean; signature: string } {
  const given = bytesOf(proof);
  const signature = hmac(verifier.storedKey, authMessage);
  const key = Uint8Array.from(signature, (octet, at) => octet ^ (given[at] ?? 0));
  const same = timingSafeEqual(sha256(key), verifier.storedKey);
  if (!same || given.length !== KEY_BYTES) return { ok: false, signature: "" };
  return { ok: true, signature: base64(hmac(verifier.serverKey, authMessage)) };
}

/**
 * The salt that is sent for a user who has none: always the same for one name, so that it does not reveal who exists (RFC 5802 §9). `key`: secret, of
 * this system; `bytes`: at most 32. In base64.
 */
export function fakeSalt(key: Uint8Array, name: string, bytes: number): string {
  return base64(hmac(key, name).subarray(0, bytes));
}

/** A verifier for which there is no password: to be checked where there is no user. */
export function nobodysVerifier(salt: string, iterations: number): string {
  const random = () => base64(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
  return `${SCHEME}${iterations}:${salt}$${random()}:${random()}`;
}

function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(
      password,
      salt,
      iterations,
      KEY_BYTES,
      "sha256",
      (error, key) => error === null ? resolve(key) : reject(error),
    );
  });
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text, "utf8").digest();
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "base64");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
