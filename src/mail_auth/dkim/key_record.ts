/** Public keys in the DNS, RFC 6376 §3.6.1 with RFC 8301 and RFC 8463. Decides nothing about a signature, but for whom a key may sign. */

import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject } from "node:crypto";
import type { Dns } from "../dns.ts";
import type { Algorithm } from "./signature.ts";
import { base64Octets, parseTagList, splitColons } from "./tag_list.ts";

export type KeyType = "rsa" | "ed25519";

/** A record whose key can be used. */
export interface KeyRecord {
  readonly type: KeyType;
  readonly key: KeyObject;
  /** Of the modulus of an RSA key; 256 for Ed25519. */
  readonly bits: number;
  /** `t=y`: the domain only tries. */
  readonly testing: boolean;
  /** `t=s`: the domain of the identity (`i=`) must be that of the signature. */
  readonly exactDomain: boolean;
}

export type ParsedKey =
  | { readonly ok: true; readonly record: KeyRecord }
  | { readonly ok: false; readonly reason: string };

/** In front of the octets of an Ed25519 key, RFC 8410 §4. */
const ED25519_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
/** With a long exponent one verification would take as long as a signature. */
const MAX_EXPONENT = 0xffff_ffffn;

const refused = (reason: string) => ({ ok: false, reason }) as const;

/** Reads a key record, one character per octet, as a key for signatures of mail by SHA-256. The reason says why it is none. Never throws. */
export function parseKeyRecord(text: string): ParsedKey {
  const tags = parseTagList(text);
  if (tags === null) return refused("syntax error in the key record");
  const version = tags.get("v");
  if (version !== undefined && (version !== "DKIM1" || tags.keys().next().value !== "v")) {
    return refused("unknown version of the key record");
  }
  const type = (tags.get("k") ?? "rsa").toLowerCase();
  if (type !== "rsa" && type !== "ed25519") return refused("unknown type of key");
  const hashes = tags.get("h");
  if (hashes !== undefined && !splitColons(hashes.toLowerCase()).includes("sha256")) {
    return refused("the key is not for sha256");
  }
  const services = splitColons((tags.get("s") ?? "*").toLowerCase());
  if (!services.includes("*") && !services.includes("email")) return refused("the key is not for mail");
  const data = tags.get("p");
  if (data === undefined) return refused("the key record has no key");
  if (data === "") return refused("the key is revoked");
  const octets = base64Octets(data);
  const key = octets === null ? null : publicKey(type, octets);
  if (key === null) return refused("the key cannot be read");
  const flags = splitColons((tags.get("t") ?? "").toLowerCase());
  const bits = type === "rsa" ? key.asymmetricKeyDetails?.modulusLength ?? 0 : 256;
  return { ok: true, record: { type, key, bits, testing: flags.includes("y"), exactDomain: flags.includes("s") } };
}

function publicKey(type: KeyType, octets: Uint8Array): KeyObject | null {
  if (type === "ed25519") {
    return octets.length === 32 ? read(Buffer.concat([ED25519_PREFIX, octets]), "spki", "ed25519") : null;
  }
  // RFC 6376 §3.6.1 speaks of RSAPublicKey, its example and everybody of SubjectPublicKeyInfo.
  return read(Buffer.from(octets), "spki", "rsa") ?? read(Buffer.from(octets), "pkcs1", "rsa");
}

function read(der: Buffer, form: "spki" | "pkcs1", type: KeyType): KeyObject | null {
  try {
    const key = createPublicKey({ key: der, type: form, format: "der" });
    if (key.asymmetricKeyType !== type) return null;
    return (key.asymmetricKeyDetails?.publicExponent ?? 0n) <= MAX_EXPONENT ? key : null;
  } catch {
    return null;
  }
}

export type FoundKey =
  | { readonly kind: "key"; readonly record: KeyRecord }
  | { readonly kind: "temperror" | "permerror"; readonly reason: string };

/** The keys of the signatures of one message: what several name alike is asked for once. */
export class MessageKeys {
  readonly #dns: Pick<Dns, "txt">;
  readonly #found = new Map<string, Promise<FoundKey>>();

  constructor(dns: Pick<Dns, "txt">) {
    this.#dns = dns;
  }

  /** Returns the key of a signature, domain and selector as A-labels. Never rejects. */
  find(
    { domain, selector, algorithm }: {
      readonly domain: string;
      readonly selector: string;
      readonly algorithm: Algorithm;
    },
  ): Promise<FoundKey> {
    const name = `${algorithm} ${selector} ${domain}`;
    let found = this.#found.get(name);
    if (found === undefined) {
      found = findKey({ domain, selector, type: algorithm === "rsa-sha256" ? "rsa" : "ed25519" }, this.#dns);
      this.#found.set(name, found);
    }
    return found;
  }
}

/**
 * Asks for the key of a selector, both as A-labels. Of several records, which RFC 6376 §3.6.2.2 forbids, the first that is of the wanted type
 * counts, else the first that says why it cannot be used. Never rejects.
 */
async function findKey(
  { domain, selector, type }: { readonly domain: string; readonly selector: string; readonly type: KeyType },
  dns: Pick<Dns, "txt">,
): Promise<FoundKey> {
  const name = `${selector}._domainkey.${domain}`;
  if (name.length > 253) return { kind: "permerror", reason: "the name of the key is too long" };
  // What is only awaited at the end of the message may not reject before.
  const answer = await dns.txt(name).catch(() => ({ kind: "temporary" } as const));
  if (answer.kind === "temporary") return { kind: "temperror", reason: "the key could not be asked for" };
  if (answer.kind === "none") return { kind: "permerror", reason: "no key" };
  let reason: string | null = null;
  for (const text of answer.records) {
    const parsed = parseKeyRecord(text);
    if (parsed.ok && parsed.record.type === type) return { kind: "key", record: parsed.record };
    reason ??= parsed.ok ? "the key is of another type" : parsed.reason;
  }
  return { kind: "permerror", reason: reason ?? "no key" };
}
