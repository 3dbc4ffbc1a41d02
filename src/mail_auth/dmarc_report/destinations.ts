/** Whom a report goes to: the addresses of a record's `rua`, those of other organisations only where these agree (RFC 9990, "Verifying External Destinations"). */

import { normalName } from "../../net/mod.ts";
import { parseDmarcRecord } from "../dmarc/record.ts";
import { TreeWalks } from "../dmarc/tree_walk.ts";
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
/** Addresses of a record that get reports. */
const MAX_DESTINATIONS = 5;
/** Octets of a name in the DNS. */
const MAX_NAME_OCTETS = 253;

/**
 * Reads an URI of `rua`: `mailto:` with one address, percent-encoded (RFC 6068), perhaps a size behind `!`. Null for all others: this host
 * sends reports by mail alone.
 */
export function readDestination(uri: string): Destination | null {
  const [, encoded, count, unit] = /^\s*mailto:([^\s!?,]+)(?:!([0-9]{1,19})([kmgt]?))?\s*$/i.exec(uri) ?? [];
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
 * Returns the addresses that the record of a domain names for reports, by the DNS of now; none where it has no record, or more than one. Null: that
 * cannot be determined now.
 */
export async function destinationsOf(domain: string, dns: Pick<Dns, "txt">): Promise<readonly Destination[] | null> {
  const answer = await dns.txt(`_dmarc.${domain}`);
  if (answer.kind === "temporary") return null;
  const records = answer.kind === "records" ? answer.records.map((text) => parseDmarcRecord(text, domain)) : [];
  const [parsed, other] = records.filter((record) => record !== null);
  if (parsed === undefined || other !== undefined) return [];
  return parsed.record.rua.map(readDestination).filter((one) => one !== null).slice(0, MAX_DESTINATIONS);
}

/**
 * Tells whether a destination wants reports about `policyDomain`. One of another organisation must say so in the DNS, and may name another
 * address of the same host. Never rejects.
 */
export async function verifyDestination(
  destination: Destination,
  policyDomain: string,
  dns: Pick<Dns, "txt">,
): Promise<Verified> {
  const { domain } = destination;
  if (domain === policyDomain) return { kind: "agreed", destination };
  const walks = new TreeWalks(dns);
  const ours = await walks.organization(policyDomain), theirs = await walks.organization(domain);
  if (ours.kind !== "known" || theirs.kind !== "known") return { kind: "temporary" };
  if (ours.domain === theirs.domain) return { kind: "agreed", destination };
  const name = `${policyDomain}._report._dmarc.${domain}`;
  if (name.length > MAX_NAME_OCTETS) return { kind: "refused" };
  const answer = await dns.txt(name);
  if (answer.kind === "temporary") return { kind: "temporary" };
  const records = answer.kind === "records" ? answer.records.map((text) => parseDmarcRecord(text, domain)) : [];
  const agreement = records.find((record) => record !== null);
  if (!agreement) return { kind: "refused" };
  const [uri] = agreement.record.rua;
  if (uri === undefined) return { kind: "agreed", destination };
  const other = readDestination(uri);
  return other?.domain === domain ? { kind: "agreed", destination: other } : { kind: "refused" };
}
