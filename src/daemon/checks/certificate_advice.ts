/** Certificates that can be loaded and that clients will not take: expired, not valid yet, or of another name. Reads the files of the config. */

import { X509Certificate } from "node:crypto";
import type { Config } from "../../config/mod.ts";
import { shown } from "../../config/values.ts";
import { Fatal } from "../fatal.ts";
import { loadPair } from "../files.ts";

/** An expiry this near is warned of: by then most are renewed. */
const SOON_DAYS = 7;
const DAY_MS = 86_400_000;

/** `file:line: warning: …` for each certificate that is used. `now`: milliseconds of Date. What cannot be loaded is reported elsewhere. */
export function certificateWarnings(config: Config, serverName: string, now: number): string[] {
  return Object.entries(config.pki).flatMap(([name, files]) => {
    // The daemon renews it, and has it for the names that the line says.
    if (files.acme !== null) return [];
    const at = config.declared[`pki ${name}`] ?? { file: config.file, line: 0 };
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(loadPair(name, files).cert);
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      return [];
    }
    const faults = [timeFault(certificate, now), nameFault(certificate, name, config, serverName)];
    return faults.flatMap((fault) =>
      fault === null ? [] : [`${at.file}:${at.line}: warning: pki "${shown(name)}": ${fault}`]
    );
  });
}

/** What clients will say of the certificate's time, or null. */
function timeFault(certificate: X509Certificate, now: number): string | null {
  const end = Date.parse(certificate.validTo), start = Date.parse(certificate.validFrom);
  const day = (time: number) => new Date(time).toISOString().slice(0, 10);
  if (now > end) return `the certificate has expired on ${day(end)}: clients will refuse it: renew it`;
  if (now < start) {
    return `the certificate is not valid before ${day(start)}: clients will refuse it: is the clock right?`;
  }
  if (end - now < SOON_DAYS * DAY_MS) return `the certificate expires on ${day(end)}: renew it`;
  return null;
}

/** Does a listener show the certificate under none of the names that it has? */
function nameFault(certificate: X509Certificate, name: string, config: Config, serverName: string): string | null {
  const listeners = config.listen.filter(({ tls, pki }) => tls !== "none" && (pki.length === 0 || pki.includes(name)));
  if (listeners.length === 0) return null;
  const known = [name, ...listeners.map(({ hostname }) => hostname ?? serverName)].map((one) => one.toLowerCase());
  // Without a dot it is a local name, which no certificate has.
  const wanted = [...new Set(known)].filter((one) => one.includes("."));
  const names = namesOf(certificate);
  if (wanted.length === 0 || names.length === 0 || wanted.some((one) => names.some((each) => fits(each, one)))) {
    return null;
  }
  return `the certificate is for ${names.slice(0, 5).map((one) => `"${shown(one)}"`).join(", ")}, not for ` +
    `${wanted.map((one) => `"${shown(one)}"`).join(" or ")}: clients that look at the name will refuse it`;
}

/** RFC 6125 §6.4.3: a `*` stands for the leftmost label. */
function fits(name: string, host: string): boolean {
  const folded = name.toLowerCase();
  return folded === host || (folded.startsWith("*.") && folded.slice(1) === host.slice(host.indexOf(".")));
}

/** The host names of a certificate: RFC 6125 §6.4.4, the subject's only where there is no other. */
function namesOf(certificate: X509Certificate): string[] {
  const alternative = [...(certificate.subjectAltName ?? "").matchAll(/DNS:([^,\s"]+)/g)].map(([, name]) => name!);
  if (alternative.length > 0) return alternative;
  const [, common] = /^CN=(.+)$/m.exec(certificate.subject ?? "") ?? [];
  return common === undefined ? [] : [common];
}
