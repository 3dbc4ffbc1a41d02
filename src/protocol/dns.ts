/** Checks of what the DNS is asked through lookup, and of its answers. */

import type { DnsAnswer } from "../mail_auth/dns.ts";
import { type Check, flag, list, tagged, text } from "./check.ts";

/** Longest name that is asked for (RFC 1035 §2.3.4, as text), and records of one answer. */
export const MAX_DNS_NAME_CHARS = 255, MAX_DNS_RECORDS = 64;
/** Characters of one record: no TXT record has more octets. */
export const MAX_DNS_RECORD_CHARS = 65_535;

/** Types of records that main asks lookup for. */
export const ASKED_KINDS = ["txt", "a", "aaaa", "mx", "ptr", "tlsa", "caa"] as const;

export const dnsName: Check<string> = text(MAX_DNS_NAME_CHARS);

/** The check of an answer with records that pass `record`. */
export function dnsAnswer<T>(record: Check<T>): Check<DnsAnswer<T>> {
  return tagged<DnsAnswer<T>, "kind">("kind", {
    records: { records: list(record, MAX_DNS_RECORDS) },
    none: { exists: flag },
    temporary: {},
  } as never);
}
