/**
 * A certificate with its key, from PEM texts as people have them: both in one file or in two, the blocks in any order, with text between them. Says
 * what keeps a pair from being used before a client finds it.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

/** PEM texts that TLS takes: the certificate of the key first, then those that lead from it to its authority; and one key. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

export type PairResult =
  | { readonly ok: true; readonly pair: PemPair }
  | { readonly ok: false; readonly fault: string };

/** What the runtime's TLS signs with; tried with each by test/tls/pair_test.ts. */
const USABLE = "RSA of 2048 bits or more, an elliptic curve (P-256, P-384 or P-521), or Ed25519";
const CURVES: readonly string[] = ["prime256v1", "secp384r1", "secp521r1"];
const MIN_RSA_BITS = 2048;

/**
 * Reads the certificates of one text and the keys of another, which may be the same, and finds those that belong together. An expired certificate
 * can be used. Never throws; `fault` is a sentence without its end that says what to do.
 */
export function readPair({ cert, key }: PemPair): PairResult {
  const certificates: { text: string; certificate: X509Certificate }[] = [];
  for (const { text } of blocksOf(cert, /^CERTIFICATE$/)) {
    try {
      certificates.push({ text, certificate: new X509Certificate(text) });
    } catch {
      return { ok: false, fault: "the certificate cannot be read" };
    }
  }
  // A file that is being written, perhaps.
  if (/-----BEGIN (?![^]*-----END )/.test(cert)) {
    return { ok: false, fault: "the certificate cannot be read: its end is missing" };
  }
  if (/-----BEGIN (?![^]*-----END )/.test(key)) {
    return { ok: false, fault: "the key cannot be read: its end is missing" };
  }
  if (certificates.length === 0) return { ok: false, fault: "there is no certificate in the file" };
  const keys = blocksOf(key, /PRIVATE KEY$/);
  if (keys.length === 0) {
    return { ok: false, fault: 'there is no key in the file: it needs "-----BEGIN PRIVATE KEY-----"' };
  }
  let fault = "the key does not belong to the certificate";
  for (const { label, text } of keys) {
    if (label.includes("ENCRYPTED") || /^DEK-Info:/m.test(text)) {
      fault = "the key has a passphrase: take it away with openssl pkey -in FILE -out NEWFILE";
      continue;
    }
    let privateKey: KeyObject;
    try {
      privateKey = createPrivateKey(text);
    } catch {
      fault = `the key cannot be read: it must be ${USABLE}, with the name of its curve`;
      continue;
    }
    const own = certificates.findIndex(({ certificate }) => certificate.checkPrivateKey(privateKey));
    if (own < 0) continue;
    const bad = keyFault(privateKey);
    if (bad !== null) return { ok: false, fault: bad };
    const chain = [certificates[own]!, ...certificates.toSpliced(own, 1)];
    return { ok: true, pair: { cert: chain.map((one) => one.text).join(""), key: text } };
  }
  return { ok: false, fault };
}

/** Why TLS cannot sign with a key; null when it can. */
function keyFault({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | null {
  const { modulusLength = 0, namedCurve = "" } = asymmetricKeyDetails ?? {};
  switch (asymmetricKeyType) {
    case "ed25519":
      return null;
    case "rsa":
      return modulusLength >= MIN_RSA_BITS ? null : unusable(`RSA of ${modulusLength} bits`);
    case "ec":
      return CURVES.includes(namedCurve) ? null : unusable(`on the curve ${namedCurve}`);
    default:
      return unusable(asymmetricKeyType ?? "of an unknown kind");
  }
}

function unusable(what: string): string {
  return `TLS cannot use the key, which is ${what}: get a certificate for ${USABLE}`;
}

/** The PEM blocks of a text whose label fits, each with its line ends as LF. */
function blocksOf(text: string, label: RegExp): readonly { readonly label: string; readonly text: string }[] {
  const found = text.replaceAll("\r\n", "\n").matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\n[^]*?-----END \1-----/g);
  return [...found].flatMap(([block, name = ""]) => label.test(name) ? [{ label: name, text: `${block}\n` }] : []);
}
