/** Keys, a DNS with their records, and signatures of every form, for the tests of DKIM. */

import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import {
  type Algorithm,
  BodyHashes,
  type Canonicalization,
  DkimSigner,
  type DkimVerdict,
  DkimVerifier,
  SignedHeader,
  signHash,
  type SignOptions,
  unsignedField,
} from "../../../src/mail_auth/dkim/mod.ts";
import type { Dns } from "../../../src/mail_auth/dns.ts";
import { HeaderField, headerFields } from "../../../src/mail_auth/header_fields.ts";
import { FixtureDns, type FixtureEntry } from "../fixture_dns.ts";

export const NOW = Date.now();

const pem = (name: string) => Deno.readTextFileSync(new URL(`./fixtures/${name}.pem`, import.meta.url));
/** Private keys by their selector. */
export const PEMS: Readonly<Record<string, string>> = Object.fromEntries(
  ["rsa1016", "rsa1024", "rsa2048", "rsa4096", "ed25519"].map((name) => [name, pem(name)]),
);
export const KEYS: Readonly<Record<string, KeyObject>> = Object.fromEntries(
  Object.entries(PEMS).map(([name, text]) => [name, createPrivateKey(text)]),
);
/** The record of a selector. */
export const RECORDS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(KEYS).map(([name, key]) => {
    const der = createPublicKey(key as unknown as string).export({ type: "spki", format: "der" });
    return [
      name,
      name.startsWith("rsa")
        ? `v=DKIM1; k=rsa; p=${der.toString("base64")}`
        : `v=DKIM1; k=ed25519; p=${der.subarray(-32).toString("base64")}`,
    ];
  }),
);

/** A DNS that has the records of `example.org` and these. */
export function keyDns(zones: Readonly<Record<string, readonly FixtureEntry[]>> = {}): FixtureDns {
  const own = Object.entries(RECORDS).map(([name, TXT]) => [`${name}._domainkey.example.org`, [{ TXT }]]);
  return new FixtureDns({ ...Object.fromEntries(own), ...zones });
}

export const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The header section and the body of a message in lines that end with LF. */
export function split(message: Uint8Array): { readonly header: Uint8Array; readonly body: Uint8Array } {
  if (message[0] === 0x0a) return { header: new Uint8Array(), body: message.subarray(1) };
  const at = Buffer.from(message).indexOf("\n\n");
  return at < 0
    ? { header: message, body: new Uint8Array() }
    : { header: message.subarray(0, at + 1), body: message.subarray(at + 2) };
}

/** Verifies a message, whose body comes in pieces of some size. */
export function verify(
  message: Uint8Array | string,
  { dns = keyDns(), now = NOW, piece = Infinity }: {
    readonly dns?: Pick<Dns, "txt">;
    readonly now?: number;
    readonly piece?: number;
  } = {},
): Promise<readonly DkimVerdict[]> {
  const { header, body } = split(typeof message === "string" ? octets(message) : message);
  const verifier = new DkimVerifier({ now, dns });
  verifier.header(header);
  for (let at = 0; at < body.length; at += piece) verifier.body(body.subarray(at, at + piece));
  return verifier.finish();
}

/** Signs with keys of `example.org` by their names, and returns the fields. */
export function sign(
  message: Uint8Array | string,
  names: readonly string[],
  options: Partial<SignOptions> = {},
): Promise<string> {
  const { header, body } = split(typeof message === "string" ? octets(message) : message);
  const keys = names.map((selector) => ({ domain: "example.org", selector, algorithm: algorithmOf(selector) }));
  const signer = new DkimSigner({ now: NOW, ...options, keys });
  signer.header(header);
  signer.body(body);
  return signer.finish((_domain, selector, hash) => Promise.resolve(signHash(KEYS[selector]!, hash)));
}

export const algorithmOf = (selector: string): Algorithm =>
  selector.startsWith("rsa") ? "rsa-sha256" : "ed25519-sha256";

/**
 * Signs as other signers might: `tags` replaces or, by null, leaves out tags of a signature that is right. Returns the message with its signature.
 */
export function signLoosely(
  message: Uint8Array | string,
  tags: Readonly<Record<string, string | null>> = {},
  { key = KEYS.ed25519!, wrap = (tags: string) => ` ${tags}` }: {
    readonly key?: KeyObject;
    readonly wrap?: (tags: string) => string;
  } = {},
): Uint8Array {
  const given = typeof message === "string" ? octets(message) : message;
  const { header, body } = split(given);
  const [headerForm, bodyForm = "simple"] = (tags.c ?? "relaxed/relaxed").split("/") as Canonicalization[];
  const hashes = new BodyHashes();
  const hash = hashes.want(bodyForm, tags.l ? Number(tags.l) : null);
  hashes.update(body);
  hashes.finish();
  const all: Record<string, string | null> = {
    v: "1",
    a: key.asymmetricKeyType === "rsa" ? "rsa-sha256" : "ed25519-sha256",
    c: "relaxed/relaxed",
    d: "example.org",
    s: key.asymmetricKeyType === "rsa" ? "rsa2048" : "ed25519",
    h: "From:Subject:To",
    bh: Buffer.from(hash.digest).toString("base64"),
    ...tags,
    b: tags.b ?? "",
  };
  const text = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}=${value}`);
  const unsigned = octets(`DKIM-Signature:${wrap(text.join("; "))}\n`);
  const digest = createHash("sha256");
  const names = (all.h ?? "").split(":").map((name) => name.trim().toLowerCase());
  for (const octets of new SignedHeader(headerFields(header)).select(names, headerForm!)) digest.update(octets);
  digest.update(unsignedField(new HeaderField(unsigned), headerForm!));
  const signature = Buffer.from(signHash(key, digest.digest())).toString("base64");
  const field = tags.b === undefined
    ? Buffer.concat([unsigned.subarray(0, -1), octets(signature.replace(/.{60}/g, "$&\n ")), octets("\n")])
    : unsigned;
  return Buffer.concat([field, given]);
}
