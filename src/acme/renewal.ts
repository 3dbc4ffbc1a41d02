/** When a certificate is renewed, and when a failure is tried again. Pure: takes times in milliseconds since the epoch. */

import { X509Certificate } from "node:crypto";
import { certificateNames } from "../tls/mod.ts";
import { base64url } from "./base64url.ts";
import type { FailureKind } from "./failure.ts";

/** What of a certificate says when it is renewed. */
export interface Validity {
  readonly names: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** From 0 to 1, the same for one certificate whenever it is asked: renewals of many hosts spread by it. */
  readonly spread: number;
  /** RFC 9773 §4.1; null where the certificate does not name the key of its authority. */
  readonly id: string | null;
}

/** A time in which the authority would have a certificate renewed (RFC 9773 §4.2). */
export interface Window {
  readonly start: number;
  readonly end: number;
}

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS;
/** Of the life of a certificate, when the authority does not say when. */
const RENEWED_AT = 2 / 3;
/** Of its life, so much is left at least when it is renewed, whatever the authority says. */
const LEFT_AT = 1 / 10;
/** Renewals spread over so much of it. */
const SPREAD = 1 / 30;
/** How often an authority is asked for the window: as it says, within these. */
const LEAST_ASKING_MS = MINUTE_MS, MOST_ASKING_MS = DAY_MS, USUAL_ASKING_MS = 6 * HOUR_MS;
/** Time after the first failure in a row; each further one doubles it. */
const FIRST_MS: Readonly<Record<FailureKind, number>> = {
  unreached: MINUTE_MS,
  here: 10 * MINUTE_MS,
  refused: 10 * MINUTE_MS,
  gone: MINUTE_MS,
};
const MOST_MS = DAY_MS;
/** What an authority may ask for: nothing is put off for longer. */
export const MOST_RETRY_AFTER_MS = 7 * DAY_MS;
/** After a rate limit without a time. */
const LIMITED_MS = HOUR_MS;

/** Reads the first certificate of a chain in PEM. Throws when it is none. */
export function validityOf(chain: string): Validity {
  const certificate = new X509Certificate(chain);
  const digest = certificate.fingerprint256.replaceAll(":", "").slice(0, 8);
  return {
    names: certificateNames(chain),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    spread: parseInt(digest, 16) / 0xffff_ffff,
    id: renewalId(certificate),
  };
}

/** Returns whether a certificate is for all of `names`. */
export function covers({ names }: Pick<Validity, "names">, wanted: readonly string[]): boolean {
  return wanted.every((name) => names.includes(name));
}

/**
 * Returns when a certificate is to be renewed: within the authority's window, or after two thirds of its life. A window that lies behind nine tenths of its
 * life is not waited for.
 */
export function renewalTime(
  { notBefore, notAfter, spread }: Omit<Validity, "names" | "id">,
  window: Window | null,
): number {
  const life = notAfter - notBefore;
  if (window !== null) return Math.min(window.start + spread * (window.end - window.start), notAfter - life * LEFT_AT);
  return notBefore + life * (RENEWED_AT + spread * SPREAD);
}

/** Returns how long to wait before the authority is asked for the window again. */
export function askingDelay(retryAfterMs: number | null): number {
  return Math.min(MOST_ASKING_MS, Math.max(LEAST_ASKING_MS, retryAfterMs ?? USUAL_ASKING_MS));
}

/**
 * Returns how long to wait after a failure. `failures`: how many there were in a row, this one included. `random`: from 0 to 1, adds up to a tenth. A
 * time that the authority names is kept to, up to a week.
 */
export function retryDelay(
  { kind, type, retryAfterMs }: {
    readonly kind: FailureKind;
    readonly type: string;
    readonly retryAfterMs: number | null;
  },
  { failures, random }: { readonly failures: number; readonly random: number },
): number {
  const own = Math.min(MOST_MS, FIRST_MS[kind] * 2 ** Math.min(30, failures - 1)) * (1 + random / 10);
  const asked = retryAfterMs ?? (type === "rateLimited" ? LIMITED_MS : 0);
  return Math.max(own, Math.min(MOST_RETRY_AFTER_MS, asked));
}

const AUTHORITY_KEY_IDENTIFIER = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x23), KEY_IDENTIFIER = 0x80;

/** RFC 9773 §4.1: the authority's key and the serial number, both as in the certificate. */
function renewalId({ raw, serialNumber }: X509Certificate): string | null {
  const at = indexOf(raw, AUTHORITY_KEY_IDENTIFIER);
  if (at < 0) return null;
  // OCTET STRING of a SEQUENCE whose first member is the key: lengths of one octet each.
  const value = raw.subarray(at + AUTHORITY_KEY_IDENTIFIER.length);
  if (value[0] !== 0x04 || value[2] !== 0x30 || value[4] !== KEY_IDENTIFIER || value[5]! > 64) return null;
  const key = value.subarray(6, 6 + value[5]!);
  const hex = serialNumber.length % 2 === 0 ? serialNumber : `0${serialNumber}`;
  const serial = Uint8Array.fromHex(parseInt(hex.slice(0, 2), 16) >= 0x80 ? `00${hex}` : hex);
  return `${base64url(key)}.${base64url(serial)}`;
}

function indexOf(octets: Uint8Array, wanted: Uint8Array): number {
  for (let at = 0; at + wanted.length <= octets.length; at++) {
    if (wanted.every((octet, index) => octets[at + index] === octet)) return at;
  }
  return -1;
}
