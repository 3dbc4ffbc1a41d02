/** What main makes sure of before it stores a certificate that the acme isolate brings, and shows it to clients. Pure. */

import { X509Certificate } from "node:crypto";
import { certificateNames, readBundle, readPair } from "../../tls/mod.ts";

/** Certificates of a chain. */
const MAX_CHAIN_CERTIFICATES = 10;

export type ObtainedResult =
  /** `text`: the chain and its key, for one file. */
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly fault: string };

/**
 * Checks that the key is that of the first certificate, that this one is for all `names` and good at `now` (milliseconds since the epoch), and that
 * each of the chain is signed by the next.
 */
export function checkObtained(
  { cert, key }: { readonly cert: string; readonly key: string },
  names: readonly string[],
  now: number,
): ObtainedResult {
  const refuse = (fault: string): ObtainedResult => ({ ok: false, fault: `the certificate is not used: ${fault}` });
  const read = readPair({ cert, key });
  if (!read.ok) return refuse(read.fault);
  const chain = readBundle(read.pair.cert);
  if (chain.length > MAX_CHAIN_CERTIFICATES) return refuse(`its chain has more than ${MAX_CHAIN_CERTIFICATES}`);
  const own = certificateNames(read.pair.cert);
  const missing = names.filter((name) => !own.includes(name));
  if (missing.length > 0) return refuse(`it is not for ${missing.join(", ")}`);
  const { validFrom, validTo } = chain[0]!;
  if (!(Date.parse(validTo) > now)) return refuse(`it has ended on ${validTo}`);
  if (!(Date.parse(validFrom) <= now)) return refuse(`it is not good before ${validFrom}: is the clock right?`);
  if (chain.slice(1).some((issuer, at) => !isIssued(chain[at]!, issuer))) {
    return refuse("a certificate of its chain is not signed by the next one");
  }
  return { ok: true, text: `${read.pair.cert}${read.pair.key}` };
}

function isIssued(subject: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
