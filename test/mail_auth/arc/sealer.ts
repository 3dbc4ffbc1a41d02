/** Chains of ARC for tests, by node:crypto alone. */

import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { FixtureZones } from "../fixture_dns.ts";

const keys = generateKeyPairSync("ed25519");
const RECORD = `v=DKIM1; k=ed25519; p=${
  keys.publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("base64")
}`;

/** An independent sealer, of Ed25519 and relaxed forms alone, for messages whose fields need no folding. */
export class Sealer {
  /** Sealed so far, from the top. */
  header = "From: a@example.org\nSubject: x\n";
  readonly #signed: string[] = [];
  #sets = 0;
  readonly body = "Hello\n";

  seal(
    domain: string,
    { cv = this.#sets === 0 ? "none" : "pass", more = "", ofSeal = "" } = {},
    key: KeyObject = keys.privateKey,
  ): this {
    const i = ++this.#sets;
    const results = `ARC-Authentication-Results: i=${i}; ${domain}; spf=pass`;
    const bodyHash = createHash("sha256").update(this.body.replaceAll("\n", "\r\n")).digest("base64");
    const message =
      `ARC-Message-Signature: i=${i}; a=ed25519-sha256; c=relaxed/relaxed; d=${domain}; s=s;${more} h=from:subject; bh=${bodyHash}; b=`;
    const signature = this.#sign(["from:a@example.org\r\n", "subject:x\r\n", relaxed(message)], key);
    this.#signed.push(`${relaxed(results)}\r\n`, `${relaxed(message)}${signature}\r\n`);
    const seal = `ARC-Seal: i=${i}; a=ed25519-sha256; cv=${cv}; d=${domain}; s=s;${ofSeal} b=`;
    const sealed = this.#sign([...this.#signed, relaxed(seal)], key);
    this.#signed.push(`${relaxed(seal)}${sealed}\r\n`);
    this.header = `${seal}${sealed}\n${message}${signature}\n${results}\n${this.header}`;
    return this;
  }

  #sign(pieces: readonly string[], key: KeyObject): string {
    return sign(null, createHash("sha256").update(pieces.join("")).digest(), key).toString("base64");
  }
}

function relaxed(field: string): string {
  const colon = field.indexOf(":");
  return `${field.slice(0, colon).toLowerCase()}:${field.slice(colon + 1).trim()}`;
}

/** The keys of domains that seal. */
export const zonesOf = (...domains: string[]): FixtureZones =>
  Object.fromEntries(domains.map((domain) => [`s._domainkey.${domain}`, [{ TXT: RECORD }]]));
