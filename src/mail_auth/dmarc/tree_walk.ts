/** The DNS tree walk of RFC 9989 §4.10: which DMARC record applies to a domain, and where its organisation begins. Knows nothing of messages. */

import type { Dns } from "../dns.ts";
import { type DmarcRecord, type ParsedDmarc, parseDmarcRecord } from "./record.ts";

/** RFC 9989 §4.10: from eight labels on, those between the whole name and seven labels are left out, so that eight questions are enough. */
const MAX_QUERIES = 8;
/** RFC 1035 §2.3.4, with `_dmarc.` in front. */
const MAX_DOMAIN_OCTETS = 253 - "_dmarc.".length;

/** The records on the way up from a domain, the longest name first. */
export type Walk =
  | { readonly kind: "walked"; readonly found: readonly ParsedDmarc[] }
  /** The DNS had no answer for this name. */
  | { readonly kind: "temporary"; readonly name: string };

export type PolicySearch =
  | { readonly kind: "found"; readonly parsed: ParsedDmarc }
  | { readonly kind: "none" }
  | { readonly kind: "temporary"; readonly name: string };

export type OrganizationSearch =
  | { readonly kind: "known"; readonly domain: string }
  | { readonly kind: "temporary"; readonly name: string };

/** Returns the domains whose records a walk from `domain` asks for, at most eight, in their order (RFC 9989 §4.10). */
export function walkTargets(domain: string): readonly string[] {
  const labels = domain.split(".");
  const first = Math.max(1, labels.length - (MAX_QUERIES - 1));
  const targets = [domain];
  for (let at = first; at < labels.length; at++) targets.push(labels.slice(at).join("."));
  return targets;
}

/** Returns the organisational domain of `domain`, by the records that a walk from it found (RFC 9989 §4.10.2). */
export function organizationalDomain(domain: string, found: readonly ParsedDmarc[]): string {
  for (const { record } of found) {
    if (record.psd === "n") return record.domain;
    if (record.psd === "y" && record.domain !== domain) return oneLabelBelow(record.domain, domain);
  }
  return found.at(-1)?.record.domain ?? domain;
}

/** `suffix` with one more label of `domain`, which is below it. */
function oneLabelBelow(suffix: string, domain: string): string {
  const labels = domain.split(".");
  return labels.slice(labels.length - suffix.split(".").length - 1).join(".");
}

/** Walks for the domains of one message; what was asked once is not asked again. Domains are lower-case A-labels. */
export class TreeWalks {
  readonly #dns: Pick<Dns, "txt">;
  readonly #records = new Map<string, Promise<ParsedDmarc | "none" | "temporary">>();

  constructor(dns: Pick<Dns, "txt">) {
    this.#dns = dns;
  }

  /** The record that applies to an author domain: its own, that of its organisation, or that of the public suffix (RFC 9989 §4.10.1). */
  async policy(author: string): Promise<PolicySearch> {
    const own = await this.#record(author);
    if (own === "temporary") return { kind: "temporary", name: author };
    if (own !== "none") return { kind: "found", parsed: own };
    const walk = await this.#walk(author);
    if (walk.kind === "temporary") return walk;
    const organization = organizationalDomain(author, walk.found);
    const parsed = walk.found.find(({ record }) => record.domain === organization) ??
      walk.found.find(({ record }) => record.psd === "y");
    return parsed === undefined ? { kind: "none" } : { kind: "found", parsed };
  }

  /** The domain at the top of the organisation that a domain belongs to (RFC 9989 §4.10.2). */
  async organization(domain: string): Promise<OrganizationSearch> {
    const walk = await this.#walk(domain);
    if (walk.kind === "temporary") return walk;
    return { kind: "known", domain: organizationalDomain(domain, walk.found) };
  }

  async #walk(domain: string): Promise<Walk> {
    const found: ParsedDmarc[] = [];
    for (const name of walkTargets(domain)) {
      const parsed = await this.#record(name);
      if (parsed === "temporary") return { kind: "temporary", name };
      if (parsed === "none") continue;
      found.push(parsed);
      if (parsed.record.psd !== "u") break;
    }
    return { kind: "walked", found };
  }

  #record(domain: string): Promise<ParsedDmarc | "none" | "temporary"> {
    const known = this.#records.get(domain);
    if (known !== undefined) return known;
    const asked = this.#ask(domain);
    this.#records.set(domain, asked);
    return asked;
  }

  /** The one record at a domain; several count as none. */
  async #ask(domain: string): Promise<ParsedDmarc | "none" | "temporary"> {
    if (domain.length > MAX_DOMAIN_OCTETS) return "none";
    const answer = await this.#dns.txt(`_dmarc.${domain}`);
    if (answer.kind !== "records") return answer.kind;
    const records = answer.records.map((text) => parseDmarcRecord(text, domain)).filter((parsed) => parsed !== null);
    return records.length === 1 ? records[0]! : "none";
  }
}

/** The policy for mail of an author domain that does not pass, before `t` (RFC 9989 §4.10.1). `exists` is asked where it matters. */
export async function policyFor(
  record: DmarcRecord,
  author: string,
  exists: () => Promise<boolean | "temporary">,
): Promise<DmarcRecord["p"] | "temporary"> {
  if (record.domain === author) return record.p;
  const existing = record.sp ?? record.p;
  if (record.np === null || record.np === existing) return existing;
  const answer = await exists();
  if (answer === "temporary") return "temporary";
  return answer ? existing : record.np;
}
