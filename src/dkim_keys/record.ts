/** The records of DKIM keys in the DNS: how they are written in a zone, and whether what is there is what should be. Pure. */

import type { Buffer } from "node:buffer";
import { type KeyRecord, parseKeyRecord } from "../mail_auth/dkim/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";

/** Octets of one string of a TXT record, RFC 1035 §3.3. */
const MAX_STRING_OCTETS = 255;

/** The name of the record of a key: RFC 6376 §3.6.2.1. */
export function recordName(domain: string, selector: string): string {
  return `${selector}._domainkey.${domain}`;
}

/** A line for the file of a zone: the name, `IN TXT`, and the record in strings of 255 octets. */
export function zoneLine(name: string, record: string): string {
  return `${name}. IN TXT ( ${stringsOf(record).map((text) => `"${text}"`).join(" ")} )`;
}

function stringsOf(record: string): readonly string[] {
  const count = Math.ceil(record.length / MAX_STRING_OCTETS);
  return Array.from(
    { length: count },
    (_, index) => record.slice(index * MAX_STRING_OCTETS, (index + 1) * MAX_STRING_OCTETS),
  );
}

/**
 * What the DNS has of a key. `missing`: no record; `differs`: another key, or one that receivers do not take for mail; `several`: they may take
 * any of them (RFC 6376 §3.6.2.2); `unknown`: there is no answer now.
 */
export type Published = "ok" | "missing" | "differs" | "several" | "unknown";

/** Compares what the DNS answered with the record of a key. */
export function publishedAs(answer: DnsAnswer<string>, record: string): Published {
  if (answer.kind === "temporary") return "unknown";
  if (answer.kind === "none") return "missing";
  if (answer.records.length > 1) return "several";
  return isSame(answer.records[0]!, record) ? "ok" : "differs";
}

/** The same key, for mail, with what we sign with allowed. Notes and the flag of a test (`t=y`) make no difference. */
function isSame(found: string, record: string): boolean {
  const one = parseKeyRecord(found), other = parseKeyRecord(record);
  return one.ok && other.ok && derOf(one.record).equals(derOf(other.record));
}

function derOf({ key }: KeyRecord): Buffer {
  return key.export({ type: "spki", format: "der" });
}
