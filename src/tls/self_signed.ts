/** Makes a certificate that nobody vouches for, with its key: TLS works with it where the other side does not look at names. */

import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  pem,
  sequence,
  set,
  time,
  utf8String,
} from "./der.ts";
import type { PemPair } from "./pair.ts";

/** An extension of a certificate (RFC 5280 §4.2); `value` is DER. */
export interface CertificateExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Uint8Array;
}

export interface SelfSignedOptions {
  /** Host name that it is for, in A-labels. */
  readonly name: string;
  /** Milliseconds since the epoch. It is valid from an hour before, for clocks that are slow. */
  readonly now: number;
  readonly days: number;
  /** Beside the name, what it may be used for, and that it issues no others. */
  readonly extensions?: readonly CertificateExtension[];
}

const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2", COMMON_NAME = "2.5.4.3";
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17", BASIC_CONSTRAINTS = "2.5.29.19", EXTENDED_KEY_USAGE = "2.5.29.37";
const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
/** Characters that a common name has room for (RFC 5280, appendix A.1). */
const MAX_COMMON_NAME_CHARS = 64;
const SERIAL_OCTETS = 16, HOUR_MS = 3_600_000, DAY_MS = 86_400_000, DNS_NAME = 2, VERSION_3 = 2;

/** Makes a key on the curve P-256 and a certificate for it, as PEM. */
export function selfSignedCertificate({ name, now, days, extensions = [] }: SelfSignedOptions): PemPair {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const algorithm = sequence(objectIdentifier(ECDSA_WITH_SHA256));
  const subject = name.length > MAX_COMMON_NAME_CHARS
    ? sequence()
    : sequence(set(sequence(objectIdentifier(COMMON_NAME), utf8String(name))));
  const names = sequence(implicit(DNS_NAME, new TextEncoder().encode(name)));
  const all: readonly CertificateExtension[] = [
    // RFC 5280 §4.2.1.6: critical where there is no subject.
    { oid: SUBJECT_ALTERNATIVE_NAME, critical: name.length > MAX_COMMON_NAME_CHARS, value: names },
    { oid: BASIC_CONSTRAINTS, critical: true, value: sequence() },
    { oid: EXTENDED_KEY_USAGE, critical: false, value: sequence(objectIdentifier(SERVER_AUTHENTICATION)) },
    ...extensions,
  ];
  const signed = sequence(
    explicit(0, integer(Uint8Array.of(VERSION_3))),
    integer(crypto.getRandomValues(new Uint8Array(SERIAL_OCTETS))),
    algorithm,
    subject,
    sequence(time(now - HOUR_MS), time(now + days * DAY_MS)),
    subject,
    createPublicKey(privateKey).export({ type: "spki", format: "der" }),
    explicit(3, sequence(...all.map(extension))),
  );
  const certificate = sequence(signed, algorithm, bitString(sign("sha256", signed, privateKey)));
  return {
    cert: pem("CERTIFICATE", certificate),
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
}

function extension({ oid, critical, value }: CertificateExtension): Uint8Array {
  return sequence(objectIdentifier(oid), ...critical ? [boolean(true)] : [], octetString(value));
}
