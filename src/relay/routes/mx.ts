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

/** A host of a domain's MX records, and what the DNS said of its addresses. */
export interface SurveyedHost extends MxRecord {
  /** Its name is one of this host's: it was not asked for. */
  readonly named: boolean;
  /** Null: it was not asked for, being a null MX, `localhost`, or one too many. */
  readonly addresses: DnsResult<string> | null;
}

/** What the DNS said of where the mail of a target goes. */
export type Survey =
  /** An address, which needs no question. */
  | { readonly kind: "literal" }
  /** The host that the administrator named. */
  | { readonly kind: "host"; readonly addresses: DnsResult<string> }
  /** A domain without MX records. */
  | { readonly kind: "implicit"; readonly addresses: DnsResult<string> }
  | {
    readonly kind: "records";
    readonly hosts: readonly SurveyedHost[];
    /** The domain whose records they are, where a CNAME led to it. */
    readonly canonical?: string;
  }
  /** There are no MX records to be had. */
  | { readonly kind: "failed"; readonly failed: Failed };

/** Why a host of the MX records is not used. `behind`: it is not preferred to this host. */
export type LeftOut = "no-mail" | "too-many" | "own" | "behind" | "no-address" | "temporary";

/** A host, and why it is not used; null for one that is. */
export interface JudgedHost extends SurveyedHost {
  readonly leftOut: LeftOut | null;
}

/**
 * Finds the addresses that the mail of `target` may be sent to, by ascending preference: those of its MX records, of the domain itself, or of
 * the host that the administrator named. This host and exchangers that are not preferred to it are left out, but for a named host
 * (RFC 5321 §5.1). Never rejects.
 */
export async function findExchangers(target: Target, names: Names, self: Self): Promise<Exchangers> {
  return exchangersOf(target, await surveyExchangers(target, names, self), self);
}

/** Asks the DNS all that decides where the mail of `target` goes. Never rejects. */
export async function surveyExchangers(
  target: Target,
  names: Names,
  { own, backupName }: Self,
): Promise<Survey> {
  const { domain, literal } = target;
  if (literal) return { kind: "literal" };
  if (!target.mx && isNamed(target)) {
    // A relay's host may be a plain address; in a recipient's domain only brackets make one (RFC 5321 §4.1.3).
    return isAddress(domain) ? { kind: "literal" } : { kind: "host", addresses: await names.addresses(domain, null) };
  }
  const found = await names.mx(domain);
  if (!found.ok) {
    if (found.reason !== "nodata") return { kind: "failed", failed: found };
    return { kind: "implicit", addresses: await names.addresses(domain, null) };
  }
  let asked = 0;
  const hosts = found.records.map(async (record): Promise<SurveyedHost> => {
    const { exchange } = record;
    const named = own.name(exchange) || exchange === backupName?.toLowerCase();
    if (takesNoMail(record) || ++asked > MAX_HOSTS) return { ...record, named, addresses: null };
    return { ...record, named, addresses: named ? NO_ADDRESSES : await names.addresses(exchange, null) };
  });
  const { canonical } = found;
  return { kind: "records", hosts: await Promise.all(hosts), ...canonical === undefined ? {} : { canonical } };
}

const NO_ADDRESSES: DnsResult<string> = { ok: true, records: [] };

/** RFC 7505 §3 for the null MX; an exchanger `localhost` is meant the same way. */
function takesNoMail({ exchange }: MxRecord): boolean {
  return exchange === "" || exchange === "localhost";
}

/** Returns where the mail of `target` may be sent to, by what the DNS said. Pure, but that addresses of this host are those that it has now. */
export function exchangersOf(target: Target, survey: Survey, self: Self): Exchangers {
  const { domain, port } = target;
  switch (survey.kind) {
    case "literal": {
      const found = ofLiteral(domain);
      return isNamed(target) && !target.mx ? found : withoutOwn(domain, found, self.own, port);
    }
    case "host":
      return ofHost(domain, survey.addresses);
    case "implicit":
      return withoutOwn(domain, ofDomain(domain, survey.addresses), self.own, port);
    case "records":
      return ofRecords(target, survey.hosts, self);
    case "failed":
      switch (survey.failed.reason) {
        case "nxdomain":
          return noDomain;
        case "invalid":
          return noName;
        case "temporary":
        case "nodata":
          return lookupFailed(domain, survey.failed);
      }
  }
}

function ofLiteral(text: string): Exchangers {
  const address = isAddress(text) ? normalAddress(text) : null;
  if (address === null) return noName;
  return { ok: true, list: [{ host: address, address, preference: 0 }] };
}

/** RFC 5321 §5.1: without MX records the domain itself is the exchanger. */
function ofDomain(domain: string, found: DnsResult<string>): Exchangers {
  if (found.ok) return listOf(domain, [{ preference: 0, exchange: domain }], [found]);
  if (found.reason === "temporary") return lookupFailed(domain, found);
  return temporary(`No MX found for domain ${domain}: it has neither a mail exchanger nor an address`, "4.4.4");
}

function ofHost(host: string, found: DnsResult<string>): Exchangers {
  if (found.ok) return listOf(host, [{ preference: 0, exchange: host }], [found]);
  if (found.reason === "temporary") {
    return temporary(`Temporary failure in lookup of ${host}${because(found)}`, "4.4.3");
  }
  return temporary(
    `Host not found: ${host} ${found.reason === "nodata" ? "has no address" : "does not exist"}`,
    "4.4.4",
  );
}

/**
 * Says of each host of the MX records why it is left out. Two hosts of one preference would send the mail to and fro, and so would two backups: only
 * what is preferred to this host is left (RFC 5321 §5.1).
 */
export function judgeHosts(
  hosts: readonly SurveyedHost[],
  { port }: Pick<Target, "port">,
  { own }: Pick<Self, "own">,
): readonly JudgedHost[] {
  const isOwn = ({ named, addresses }: SurveyedHost) =>
    addresses !== null && (named || (addresses.ok && addresses.records.some((address) => own.address(address, port))));
  const self = hosts.find(isOwn);
  return hosts.map((host) => {
    const { addresses, preference } = host;
    const leftOut = addresses === null
      ? takesNoMail(host) ? "no-mail" : "too-many"
      : self !== undefined && preference >= self.preference
      ? isOwn(host) ? "own" : "behind"
      : addresses.ok && addresses.records.length > 0
      ? null
      : addresses.ok || addresses.reason !== "temporary"
      ? "no-address"
      : "temporary";
    return { ...host, leftOut };
  });
}

const NOT_USED: ReadonlySet<LeftOut | null> = new Set(["no-mail", "too-many", "own", "behind"]);

function ofRecords(target: Target, hosts: readonly SurveyedHost[], self: Self): Exchangers {
  const { domain } = target;
  const judged = judgeHosts(hosts, target, self);
  if (judged.every(({ leftOut }) => leftOut === "no-mail")) return noMail;
  const own = judged.find(({ leftOut }) => leftOut === "own");
  const used = judged.filter(({ leftOut }) => !NOT_USED.has(leftOut));
  if (used.length === 0) return looped(domain, own!.exchange);
  const result = listOf(domain, used, used.map(({ addresses }) => addresses!));
  return result.ok && self.backupName !== null && own === undefined ? { ...result, unlisted: true } : result;
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
