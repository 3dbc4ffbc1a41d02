/**
 * The private keys of DKIM as PEM texts: what can sign, and what is published for each in the DNS. Says what keeps a key from being used before a
 * receiver finds it. Pure; opens no file.
 */

import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";

/** RFC 6376 §3.3 and RFC 8463 §3. */
export type KeyAlgorithm = "rsa-sha256" | "ed25519-sha256";

/** What is known of a key. */
export interface SigningKeyInfo {
  readonly algorithm: KeyAlgorithm;
  /** Its TXT record (RFC 6376 §3.6.1). */
  readonly record: string;
}

export type KeyFile = ({ readonly ok: true } & SigningKeyInfo) | { readonly ok: false; readonly fault: string };

/** RFC 8301 §3.2 asks for 2048 and lets 1024 pass; receivers differ, and longer ones may not fit into a DNS answer. */
export const MIN_RSA_BITS = 2048, MAX_RSA_BITS = 4096;
const USABLE = `RSA of ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits, or Ed25519`;
/** Octets of a raw Ed25519 key: the end of its SubjectPublicKeyInfo (RFC 8463 §4). */
const ED25519_OCTETS = 32;

/** Reads the key of a PEM text. Never throws; `fault` is a sentence without its end that says what to do. */
export function readKeyFile(text: string): KeyFile {
  const [block, label = ""] = /-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/.exec(text) ?? [];
  if (block === undefined) {
    const cut = text.includes("-----BEGIN ");
    return {
      ok: false,
      fault: cut ? "its end is missing" : 'it is not in PEM format: "-----BEGIN PRIVATE KEY-----" is needed',
    };
  }
  if (label.includes("ENCRYPTED") || /^DEK-Info:/m.test(block)) {
    return { ok: false, fault: "it has a passphrase: take it away with openssl pkey -in FILE -out NEWFILE" };
  }
  if (!label.endsWith("PRIVATE KEY")) {
    return {
      ok: false,
      fault: `it is no private key but a ${label.toLowerCase()}: name the file with the private key`,
    };
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(block);
  } catch {
    return { ok: false, fault: `it cannot be read: it must be ${USABLE}` };
  }
  return inspectKey(key);
}

function inspectKey(key: KeyObject): KeyFile {
  const { asymmetricKeyType: type, asymmetricKeyDetails: { modulusLength: bits = 0 } = {} } = key;
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  if (type === "ed25519") {
    const raw = der.subarray(der.length - ED25519_OCTETS).toString("base64");
    return { ok: true, algorithm: "ed25519-sha256", record: `v=DKIM1; k=ed25519; p=${raw}` };
  }
  if (type !== "rsa") {
    return { ok: false, fault: `it is a key of the kind ${type}, which DKIM does not have: use ${USABLE}` };
  }
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    return { ok: false, fault: `it is RSA of ${bits} bits, use ${USABLE}` };
  }
  return { ok: true, algorithm: "rsa-sha256", record: `v=DKIM1; k=rsa; p=${der.toString("base64")}` };
}

/** Makes a key, and returns it as PEM text. */
export async function makeKey(algorithm: KeyAlgorithm): Promise<string> {
  const key = await new Promise<KeyObject>((resolve, reject) => {
    const take = (error: Error | null, _: KeyObject, key: KeyObject) => error === null ? resolve(key) : reject(error);
    if (algorithm === "rsa-sha256") generateKeyPair("rsa", { modulusLength: MIN_RSA_BITS }, take);
    else generateKeyPair("ed25519", {}, take);
  });
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}
