/** Whom a report goes to: the addresses of a record's `rua`, those of other organisations only where these agree (RFC 9990, "Verifying External Destinations"). */

import { normalName } from "../../net/mod.ts";
import type { Dns } from "../dns.ts";

/** An address that may get a report. */
export interface Destination {
  readonly local: string;
  /** In A-labels. */
  readonly domain: string;
  /** Octets of a mail that it takes at most; null: not said. */
  readonly maxOctets: number | null;
}

export type Verified =
  /** The address to use, which may be another one of that domain. */
  | { readonly kind: "agreed"; readonly destination: Destination }
  | { readonly kind: "refused" }
  /** No answer now. */
  | { readonly kind: "temporary" };

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
/** Octets of a name in the DNS. */
const MAX_NAME_OCTETS = 253;

/**
 * Reads an URI of `rua`: `mailto:` with one address, percent-encoded (RFC 6068), perhaps a size behind `!`. Null for all others: this host
 * sends reports by mail alone.
 */
export function readDestination(uri: string): Destination | null {
  const [, encoded, count, unit] = /^\s*mailto:([^\s!?,]+)(?:!([0-9]{1,15})([kmgt]?))?\s*$/i.exec(uri) ?? [];
  if (encoded === undefined) return null;
  const address = decode(encoded);
  const at = address?.lastIndexOf("@") ?? -1;
  if (address === null || at < 1) return null;
  const local = address.slice(0, at), domain = normalName(address.slice(at + 1));
  // A quoted local part, or one beyond ASCII, is nobody's address for reports.
  if (domain === null || !/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$/.test(local) || /^\.|\.\.|\.$/.test(local)) {
    return null;
  }
  const maxOctets = count === undefined ? null : Number(count) * UNITS[unit!.toLowerCase()]!;
  return { local, domain, maxOctets };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * Tells whether a destination wants reports about `policyDomain`. `organizational` gives the Organizational Domain of a name, null when it
 * cannot be determined now. Of another organisation it must say so in the DNS, and may name another address of the same host.
 */
export async function verifyDestination(
  destination: Destination,
  policyDomain: string,
  dns: Pick<Dns, "txt">,
  organizational: (domain: string) => Promise<string | null>,
): Promise<Verified> {
  const { domain } = destination;
  if (domain === policyDomain) return { kind: "agreed", destination };
  const [ours, theirs] = [await organizational(policyDomain), await organizational(domain)];
  if (ours === null || theirs === null) return { kind: "temporary" };
  if (ours === theirs) return { kind: "agreed", destination };
  const name = `${policyDomain}._report._dmarc.${domain}`;
  if (name.length > MAX_NAME_OCTETS) return { kind: "refused" };
  const answer = await dns.txt(name);
  if (answer.kind === "temporary") return { kind: "temporary" };
  const agreement = answer.kind === "records" ? answer.records.find(isRecord) : undefined;
  if (agreement === undefined) return { kind: "refused" };
  const rua = ruaOf(agreement);
  if (rua === null) return { kind: "agreed", destination };
  const other = readDestination(rua.split(",")[0]!);
  return other?.domain === domain ? { kind: "agreed", destination: other } : { kind: "refused" };
}

/** The version stands first (RFC 9989 §4.7). */
function isRecord(text: string): boolean {
  return /^\s*v\s*=\s*DMARC1\s*(?:;|$)/.test(text);
}

function ruaOf(text: string): string | null {
  for (const tag of text.split(";")) {
    const [, value] = /^\s*rua\s*=\s*(\S[^]*)$/i.exec(tag) ?? [];
    if (value !== undefined) return value.trim();
  }
  return null;
}
