/** Which hosts take the mail of a target: RFC 5321 §5.1 as a table of outcomes. Asks a resolver, touches nothing else. */

import { type DnsResult, familyOf, isAddress, type MxRecord, normalAddress } from "../dns/mod.ts";
import type { Target } from "./target.ts";

/** One address of a mail exchanger. */
export interface Exchanger {
  /** Name to verify certificates against; the address for literals. */
  readonly host: string;
  readonly address: string;
  readonly preference: number;
}

export type Exchangers =
  /** `unlisted`: this server is a backup that the domain's MX records do not know. */
  | { readonly ok: true; readonly list: readonly Exchanger[]; readonly unlisted?: true }
  | { readonly ok: false; readonly result: "tempfail" | "permfail"; readonly text: string };

/** What is needed of a resolver. */
export interface Names {
  mx(domain: string): Promise<DnsResult<MxRecord>>;
  addresses(name: string, family: 4 | 6 | null): Promise<DnsResult<string>>;
}

/** Exchangers of one domain that are resolved at most, and addresses used in all: a domain's owner may list any number. */
const MAX_HOSTS = 20;
const MAX_ADDRESSES = 100;

const temporary = (text: string): Exchangers => ({ ok: false, result: "tempfail", text });
const permanent = (text: string): Exchangers => ({ ok: false, result: "permfail", text });

/** `ownName` is this server's name among the domain's exchangers when it is a backup for it, else null. Never rejects. */
export async function findExchangers(target: Target, names: Names, ownName: string | null): Promise<Exchangers> {
  if (target.literal) return literal(target.domain);
  if (!target.mx) return await ofHost(target.domain, names);
  const found = await names.mx(target.domain);
  if (!found.ok) {
    switch (found.reason) {
      case "nxdomain":
        return permanent("Domain does not exist");
      case "invalid":
        return permanent("Invalid domain name");
      case "temporary":
        return temporary("Temporary failure in MX lookup");
      case "nodata":
        return await ofDomain(target.domain, names);
    }
  }
  return await ofRecords(found.records, names, ownName);
}

function literal(text: string): Exchangers {
  const address = isAddress(text) ? normalAddress(text) : null;
  if (address === null) return permanent("Invalid domain name");
  return { ok: true, list: [{ host: address, address, preference: 0 }] };
}

/** RFC 5321 §5.1: without MX records the domain itself is the exchanger. */
async function ofDomain(domain: string, names: Names): Promise<Exchangers> {
  const found = await names.addresses(domain, null);
  if (found.ok) return listOf([{ preference: 0, exchange: domain }], [found]);
  return temporary(found.reason === "temporary" ? "Temporary failure in MX lookup" : "No MX found for domain");
}

async function ofHost(host: string, names: Names): Promise<Exchangers> {
  // A relay's host may be a plain address; in a recipient's domain only brackets make one (RFC 5321 §4.1.3).
  if (isAddress(host)) return literal(host);
  const found = await names.addresses(host, null);
  return found.ok ? listOf([{ preference: 0, exchange: host }], [found]) : temporary("Host not found");
}

async function ofRecords(records: readonly MxRecord[], names: Names, ownName: string | null): Promise<Exchangers> {
  // RFC 7505 §3 for the null MX; an exchanger `localhost` is the same wish, said by those who did not know how.
  const real = records.filter(({ exchange }) => exchange !== "" && exchange !== "localhost").slice(0, MAX_HOSTS);
  if (real.length === 0) return permanent("Domain does not accept mail");
  const own = ownName === null ? undefined : real.find(({ exchange }) => exchange === ownName.toLowerCase());
  // A backup gives mail only to exchangers that are preferred to itself, else two backups would send it to and fro (RFC 5321 §5.1).
  const lower = own === undefined ? real : real.filter(({ preference }) => preference < own.preference);
  if (lower.length === 0) return temporary("No MX found for destination");
  const found = await Promise.all(lower.map(({ exchange }) => names.addresses(exchange, null)));
  const result = listOf(lower, found);
  return result.ok && ownName !== null && own === undefined ? { ...result, unlisted: true } : result;
}

function listOf(records: readonly MxRecord[], found: readonly DnsResult<string>[]): Exchangers {
  const list = records.flatMap(({ exchange, preference }, index) => {
    const result = found[index]!;
    return result.ok ? result.records.map((address) => ({ host: exchange, address, preference })) : [];
  });
  return list.length > 0 ? { ok: true, list: list.slice(0, MAX_ADDRESSES) } : temporary("No MX found for domain");
}

/** Those of the wanted family. */
export function ofFamily(list: readonly Exchanger[], family: 4 | 6 | null): readonly Exchanger[] {
  return family === null ? list : list.filter(({ address }) => familyOf(address) === family);
}
