/** The certificates that listeners show: chain, name, days left. Pure: certificates are given as PEM. */

import { createHash, X509Certificate } from "node:crypto";
import { certificateNames, chainFault, matchesName, readBundle } from "../tls/mod.ts";
import type { Finding } from "../protocol/mod.ts";
import { about } from "../findings/mod.ts";

const DAY_MS = 86_400_000;
/** By then most are renewed: authorities issue for 90 days or fewer, and renewal comes at a third of them. */
const WARNING_DAYS = 14, ERROR_DAYS = 3;

export interface CertificateFacts {
  /** Of the pki in smtpd.conf. */
  readonly name: string;
  /** The chain, or why it cannot be loaded. */
  readonly pem: string | { readonly fault: string };
  /** smtpd renews it. */
  readonly acme: boolean;
  /** The names of the listeners that show it. */
  readonly hosts: readonly string[];
  /** Certificates of public authorities; null where the machine has none. */
  readonly trusted: readonly X509Certificate[] | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Findings about one certificate. */
export function certificateFindings(facts: CertificateFacts): readonly Finding[] {
  const { name, pem, acme } = facts;
  const { error } = about("certificate", name);
  if (typeof pem !== "string") {
    return [
      error(`it cannot be used: ${pem.fault}`, acme ? "see the log for what the authority answers" : "mend the file"),
    ];
  }
  const chain = readBundle(pem);
  const [own] = chain;
  if (own === undefined) return [error("there is no certificate in the file", "get one")];
  return [expiryFinding(facts, own), ...nameFindings(facts, pem), chainFinding(facts, chain)];
}

function expiryFinding({ name, now, acme }: CertificateFacts, own: X509Certificate): Finding {
  const { ok, warning, error } = about("certificate", `${name} expiry`);
  const end = Date.parse(own.validTo), day = new Date(end).toISOString().slice(0, 10);
  const days = Math.floor((end - now) / DAY_MS);
  const renew = acme ? "see the log for why it is not renewed" : "renew it";
  if (now < Date.parse(own.validFrom)) return error("it is not valid yet", "is the clock right?");
  if (end <= now) return error(`it has expired on ${day}`, renew);
  const left = `it expires on ${day}, in ${days} day${days === 1 ? "" : "s"}`;
  return days < ERROR_DAYS ? error(left, renew) : days < WARNING_DAYS ? warning(left, renew) : ok(left);
}

function nameFindings({ name, hosts }: CertificateFacts, pem: string): Finding[] {
  const names = certificateNames(pem);
  return hosts.map((host) => {
    const { ok, warning } = about("certificate", `${name} for ${host}`);
    return matchesName(names, host)
      ? ok("it is for this name")
      : warning(`it is for ${names.slice(0, 5).join(", ") || "no name"}`, `get one for ${host}`);
  });
}

function chainFinding({ name, trusted, now }: CertificateFacts, chain: readonly X509Certificate[]): Finding {
  const { ok, info, warning, unknown } = about("certificate", `${name} chain`);
  const own = chain[0]!;
  if (own.subject === own.issuer && own.verify(own.publicKey)) {
    return info("it is self-signed: mail is encrypted, and who wants to know whom it goes to is not satisfied");
  }
  if (trusted === null) return unknown("this machine has no certificates of public authorities to compare with");
  // Whether it has expired is said elsewhere.
  const at = Math.min(Math.max(now, Date.parse(own.validFrom)), Date.parse(own.validTo));
  const fault = chainFault(chain, trusted, at);
  if (fault === null) return ok(`issued by ${organisationOf(own)}`);
  return chain.length === 1
    ? warning(
      `the file holds the certificate alone, and not those of ${organisationOf(own)} that lead to a public authority`,
      "use the file with the whole chain, often called fullchain.pem",
    )
    : warning(`the chain does not lead to a public authority: ${fault}`, "use the chain that the authority gave");
}

/** The organisation that has issued a certificate. */
function organisationOf(certificate: X509Certificate): string {
  const issuer = certificate.issuer ?? "";
  return /(?:^|\n)O=([^\n]+)/.exec(issuer)?.[1] ?? /(?:^|\n)CN=([^\n]+)/.exec(issuer)?.[1] ?? "an authority";
}

/** By which domain CAA records name an authority (RFC 8659 §4.2), by its organisation; null for those that are not known. */
const CAA_NAMES: Readonly<Record<string, string>> = {
  "Let's Encrypt": "letsencrypt.org",
  "ZeroSSL": "sectigo.com",
  "Sectigo Limited": "sectigo.com",
  "Google Trust Services": "pki.goog",
  "DigiCert Inc": "digicert.com",
  "Buypass AS-983163327": "buypass.com",
};

/** The issuer of the first certificate of a chain, if it is an authority that is known. */
export function issuerOf(pem: string): { readonly name: string; readonly caa: string } | null {
  const [own] = readBundle(pem);
  if (own === undefined) return null;
  const name = organisationOf(own), caa = Object.hasOwn(CAA_NAMES, name) ? CAA_NAMES[name]! : null;
  return caa === null ? null : { name, caa };
}

/** Does a TLSA record fit to a chain (RFC 6698 §2.1, RFC 7672 §3.1)? Takes `usage selector type hexadecimal`; null for one that mail does not go by. */
export function tlsaFits(record: string, pem: string): boolean | null {
  const [usage, selector, type, data] = record.split(" ");
  const chain = readBundle(pem);
  // DANE-TA names one of the chain, DANE-EE the first; the others of the RFC are not for mail.
  const candidates = usage === "3" ? chain.slice(0, 1) : usage === "2" ? chain.slice(1) : null;
  if (candidates === null || !["0", "1"].includes(selector!) || !["0", "1", "2"].includes(type!)) return null;
  return candidates.some((one) => {
    const octets = selector === "0" ? one.raw : one.publicKey.export({ type: "spki", format: "der" });
    const found = type === "0"
      ? octets.toString("hex")
      : createHash(type === "1" ? "sha256" : "sha512").update(octets).digest("hex");
    return found === data!.toLowerCase();
  });
}

/** Listeners at port 25 that others reach, without a certificate. */
export function plainListenerFindings(listeners: readonly string[]): readonly Finding[] {
  return listeners.map((place) =>
    about("tls", place).warning(
      "others send mail here in clear: the listener has no TLS",
      "name a certificate, see pki and listen on … tls in smtpd.conf(5)",
    )
  );
}
