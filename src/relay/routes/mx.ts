/** The MX lookup: which hosts take the mail of a target, RFC 5321 §5.1 as a table of outcomes. Asks a resolver, touches nothing else. */

import { type DnsResult, type MxRecord } from "../../dns/mod.ts";
import { familyOf, isAddress, normalAddress } from "../../net/mod.ts";
import type { OwnHost } from "./own.ts";
import { isNamed, type Target } from "./target.ts";

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
  /** `enhanced` as in `5.1.2`, RFC 3463. */
  | {
    readonly ok: false;
    readonly result: "tempfail" | "permfail";
    readonly text: string;
    readonly enhanced: string;
  };

/** What is needed of a resolver. */
export interface Names {
  mx(domain: string): Promise<DnsResult<MxRecord>>;
  addresses(name: string, family: 4 | 6 | null): Promise<DnsResult<string>>;
}

/** Exchangers of one domain that are resolved at most, and addresses used in all: a domain's owner may list any number. */
const MAX_HOSTS = 20;
const MAX_ADDRESSES = 100;

const temporary = (text: string, enhanced: string): Exchangers => ({ ok: false, result: "tempfail", text, enhanced });
const permanent = (text: string, enhanced: string): Exchangers => ({ ok: false, result: "permfail", text, enhanced });

// RFC 3463 §3.5: the lookup itself failed (4.4.3), or found nothing to send to (4.4.4).
const lookupFailed = (of: string, failed: Failed) =>
  temporary(`Temporary failure in MX lookup of ${of}${because(failed)}`, "4.4.3");
const noAddress = (domain: string) =>
  temporary(`No MX found for domain ${domain}: none of its mail hosts has an address`, "4.4.4");
const noDomain = permanent("Domain does not exist", "5.1.2");
const noName = permanent("Invalid domain name", "5.1.2");
// RFC 7505 §4.1.
const noMail = permanent("Domain does not accept mail", "5.1.10");

type Failed = Extract<DnsResult<unknown>, { ok: false }>;
const because = ({ detail }: Failed) => detail === undefined ? "" : `: ${detail}`;

/** What this host is called, and where mail comes back to it. */
export interface Self {
  readonly own: OwnHost;
  /** Its name among the domain's exchangers when it is a backup for it, else null. */
  readonly backupName: string | null;
}

/**
 * Finds the addresses that the mail of `target` may be sent to, by ascending preference: those of its MX records, of the domain itself, or of
 * the host that the administrator named. This host and exchangers that are not preferred to it are left out, but for a named host
 * (RFC 5321 §5.1). Never rejects.
 */
export async function findExchangers(target: Target, names: Names, self: Self): Promise<Exchangers> {
  const { domain, literal, port } = target;
  if (!target.mx && isNamed(target)) return literal ? ofLiteral(domain) : await ofHost(domain, names);
  if (literal) return withoutOwn(domain, ofLiteral(domain), self.own, port);
  const found = await names.mx(domain);
  if (!found.ok) {
    switch (found.reason) {
      case "nxdomain":
        return noDomain;
      case "invalid":
        return noName;
      case "temporary":
        return lookupFailed(domain, found);
      case "nodata":
        return withoutOwn(domain, await ofDomain(domain, names), self.own, port);
    }
  }
  return await ofRecords(target, found.records, names, self);
}

function ofLiteral(text: string): Exchangers {
  const address = isAddress(text) ? normalAddress(text) : null;
  if (address === null) return noName;
  return { ok: true, list: [{ host: address, address, preference: 0 }] };
}

/** RFC 5321 §5.1: without MX records the domain itself is the exchanger. */
async function ofDomain(domain: string, names: Names): Promise<Exchangers> {
  const found = await names.addresses(domain, null);
  if (found.ok) return listOf(domain, [{ preference: 0, exchange: domain }], [found]);
  if (found.reason === "temporary") return lookupFailed(domain, found);
  return temporary(`No MX found for domain ${domain}: it has neither a mail exchanger nor an address`, "4.4.4");
}

async function ofHost(host: string, names: Names): Promise<Exchangers> {
  // A relay's host may be a plain address; in a recipient's domain only brackets make one (RFC 5321 §4.1.3).
  if (isAddress(host)) return ofLiteral(host);
  const found = await names.addresses(host, null);
  if (found.ok) return listOf(host, [{ preference: 0, exchange: host }], [found]);
  if (found.reason === "temporary") {
    return temporary(`Temporary failure in lookup of ${host}${because(found)}`, "4.4.3");
  }
  return temporary(
    `Host not found: ${host} ${found.reason === "nodata" ? "has no address" : "does not exist"}`,
    "4.4.4",
  );
}

async function ofRecords(
  { domain, port }: Target,
  records: readonly MxRecord[],
  names: Names,
  { own, backupName }: Self,
): Promise<Exchangers> {
  // RFC 7505 §3 for the null MX; an exchanger `localhost` is meant the same way.
  const real = records.filter(({ exchange }) => exchange !== "" && exchange !== "localhost").slice(0, MAX_HOSTS);
  if (real.length === 0) return noMail;
  const isOwn = (name: string) => own.name(name) || name === backupName?.toLowerCase();
  const found = await Promise.all(
    real.map(({ exchange }): Promise<DnsResult<string>> =>
      isOwn(exchange) ? Promise.resolve({ ok: true, records: [] }) : names.addresses(exchange, null)
    ),
  );
  const self = real.find(({ exchange }, at) => {
    const result = found[at]!;
    return isOwn(exchange) || (result.ok && result.records.some((address) => own.address(address, port)));
  });
  // Two hosts of one preference would send the mail to and fro, and so would two backups: only what is preferred to this host is left.
  const lower = self === undefined ? real : real.filter(({ preference }) => preference < self.preference);
  if (lower.length === 0) return looped(domain, self!.exchange);
  const result = listOf(domain, lower, found);
  return result.ok && backupName !== null && self === undefined ? { ...result, unlisted: true } : result;
}

/** An exchanger that stands alone: the domain's own address, or a literal. */
function withoutOwn(domain: string, found: Exchangers, own: OwnHost, port: number): Exchangers {
  const isOwn = found.ok && (own.name(domain) || found.list.some(({ address }) => own.address(address, port)));
  return isOwn ? looped(domain, domain) : found;
}

/** RFC 5321 §5.1: when no exchanger is left the message is returned; RFC 3463 §3.5 has the code. */
function looped(domain: string, exchanger: string): Exchangers {
  const what = exchanger === domain ? "it" : `its mail exchanger ${exchanger}`;
  return permanent(`Mail for ${domain} loops back to this host: ${what} is this host itself`, "5.4.6");
}

/** `found[i]` are the addresses of `records[i]`. */
function listOf(domain: string, records: readonly MxRecord[], found: readonly DnsResult<string>[]): Exchangers {
  const list = records.flatMap(({ exchange, preference }, index) => {
    const result = found[index]!;
    return result.ok ? result.records.map((address) => ({ host: exchange, address, preference })) : [];
  });
  if (list.length > 0) return { ok: true, list: list.slice(0, MAX_ADDRESSES) };
  for (const [index, { exchange }] of records.entries()) {
    const result = found[index]!;
    if (!result.ok && result.reason === "temporary") return lookupFailed(exchange, result);
  }
  return noAddress(domain);
}

/** Returns those of `list` that have an address of the family, all of them for null. */
export function ofFamily(list: readonly Exchanger[], family: 4 | 6 | null): readonly Exchanger[] {
  return family === null ? list : list.filter(({ address }) => familyOf(address) === family);
}
