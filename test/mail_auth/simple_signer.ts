/**
 * Signs messages by node:crypto alone, simple/simple, which no octet survives that was changed: what our own code finds out about them does not
 * rest on itself.
 */

import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface TestKey {
  readonly domain: string;
  readonly selector: string;
  readonly key: KeyObject;
  /** The TXT record of `selector._domainkey.domain`. */
  readonly record: string;
}

/** A new key. RSA for two domains at most in one test: it takes a while. */
export function testKey(domain: string, type: "rsa" | "ed25519" = "ed25519"): TestKey {
  const { privateKey, publicKey } = type === "rsa"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : generateKeyPairSync("ed25519") as never as ReturnType<typeof generateKeyPairSync> & {
      privateKey: KeyObject;
      publicKey: KeyObject;
    };
  const der = publicKey.export({ type: "spki", format: "der" }) as Buffer;
  const p = (type === "rsa" ? der : der.subarray(-32)).toString("base64");
  return { domain, selector: "s", key: privateKey as KeyObject, record: `v=DKIM1; k=${type}; p=${p}` };
}

/** A field is signed with its CRLF; the last instance of each name in `h=`. */
function lastField(header: string, name: string): string {
  const fields = header.split(/(?<=\r\n)(?![ \t])/);
  return fields.findLast((field) => field.toLowerCase().startsWith(`${name}:`)) ?? "";
}

function signData({ key }: TestKey, data: string): string {
  const octets = Buffer.from(data, "latin1");
  // RFC 8463 §3: PureEdDSA of the SHA-256.
  const signature = key.asymmetricKeyType === "rsa"
    ? sign("sha256", octets, key)
    : sign(null, createHash("sha256").update(octets).digest(), key);
  return signature.toString("base64");
}

function algorithmOf({ key }: TestKey): string {
  return key.asymmetricKeyType === "rsa" ? "rsa-sha256" : "ed25519-sha256";
}

/** The SHA-256 of a body in its simple form, RFC 6376 §3.4.3. */
function bodyHash(body: string): string {
  const simple = `${body.replace(/(?:\r\n)*$/, "")}\r\n`;
  return createHash("sha256").update(simple, "latin1").digest("base64");
}

/** Returns the message, with CRLF and one character per octet, with a signature in front of it. */
export function signedBy(key: TestKey, message: string, names: readonly string[] = ["from", "to", "subject"]): string {
  const end = message.indexOf("\r\n\r\n") + 2;
  const header = message.slice(0, end), body = message.slice(end + 2);
  const tags = `v=1; a=${algorithmOf(key)}; d=${key.domain}; s=${key.selector}; h=${names.join(":")}; bh=${
    bodyHash(body)
  }`;
  const field = `DKIM-Signature: ${tags};\r\n\tb=`;
  const data = names.map((name) => lastField(header, name)).join("") + field;
  return `${field}${signData(key, data)}\r\n${message}`;
}

/** Returns the message with an ARC set of its own, RFC 8617 §5.1, as the first to seal it. Seals are relaxed in their header. */
export function sealedBy(key: TestKey, message: string, results: string): string {
  const end = message.indexOf("\r\n\r\n") + 2;
  const header = message.slice(0, end), body = message.slice(end + 2);
  const own = `a=${algorithmOf(key)}; d=${key.domain}; s=${key.selector}`;
  const aar = `ARC-Authentication-Results: i=1; ${results}\r\n`;
  const ams = `ARC-Message-Signature: i=1; ${own}; c=simple/simple; h=from:subject; bh=${bodyHash(body)}; b=`;
  const signedAms = ams + signData(key, lastField(header, "from") + lastField(header, "subject") + ams) + "\r\n";
  const seal = `ARC-Seal: i=1; ${own}; cv=none; b=`;
  const data = [aar, signedAms, seal].map(relaxed).join("\r\n");
  return `${seal}${signData(key, data)}\r\n${signedAms}${aar}${message}`;
}

/** One field in its relaxed form (RFC 6376 §3.4.2), without its CRLF. */
function relaxed(field: string): string {
  const colon = field.indexOf(":");
  const value = field.slice(colon + 1).replace(/\r\n/g, "").replace(/[ \t]+/g, " ").trim();
  return `${field.slice(0, colon).toLowerCase().trim()}:${value}`;
}
