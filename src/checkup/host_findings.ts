/** What the DNS says of this host: its addresses and their names, SPF of its name, TLSA, CAA. And blocklists. Pure. */

import type { DnsAnswer } from "../mail_auth/dns.ts";
import type { SpfVerdict } from "../mail_auth/spf/mod.ts";
import { familyOf, reverseName } from "../net/mod.ts";
import type { Finding } from "../protocol/mod.ts";
import { about } from "../findings/mod.ts";

export interface HostFacts {
  readonly host: string;
  /** A and AAAA records. */
  readonly four: DnsAnswer<string>;
  readonly six: DnsAnswer<string>;
  /** Public addresses of the interfaces; none behind a translating router. */
  readonly own: readonly string[];
  /** SPF of the name in EHLO, for each address; none where nothing is sent. */
  readonly spf: readonly { readonly address: string; readonly result: SpfVerdict["result"] }[];
  readonly tlsa: DnsAnswer<string>;
  /** Does this host listen at port 25? */
  readonly listens: boolean;
  /** What the TLSA records should fit to: `usage selector type data` of each certificate that is shown, as this function of them. */
  readonly fits: (record: string) => boolean | null;
  /** CAA records of the name or the nearest above it that has some. */
  readonly caa: DnsAnswer<string>;
  /** Who has issued the certificate, and the domain by which CAA records name it; null for others. */
  readonly issuer: { readonly name: string; readonly caa: string } | null;
}

/** All findings of one host name. */
export function hostFindings(facts: HostFacts): readonly Finding[] {
  return [
    addressFinding(facts),
    ...heloFindings(facts),
    ...facts.listens ? [tlsaFinding(facts), caaFinding(facts)] : [],
  ];
}

function addressFinding({ host, four, six, own }: HostFacts): Finding {
  const { ok, info, warning, error, unknown } = about("address", host);
  if (four.kind === "temporary" || six.kind === "temporary") return unknown("the DNS does not answer now");
  const found = [four, six].flatMap((answer) => answer.kind === "records" ? answer.records : []);
  const publish = (address: string) => `${host}. IN ${familyOf(address) === 4 ? "A" : "AAAA"} ${address}`;
  if (found.length === 0) {
    const line = own.length === 0 ? `${host}. IN A with the public address` : own.map(publish).join(" and ");
    return error("the name of this host has no address", `publish ${line}`);
  }
  if (own.length === 0) {
    return info(`${found.join(", ")}; this host has only private addresses, so whether they lead here is not seen`);
  }
  const strange = found.filter((address) => !own.includes(address));
  const lacking = own.filter((address) => !found.includes(address));
  if (strange.length === found.length) {
    return error(
      `${found.join(", ")} ${found.length > 1 ? "are" : "is"} not of this host`,
      `publish ${own.map(publish).join(" and ")}`,
    );
  }
  if (strange.length > 0) return warning(`${strange.join(", ")} is not of this host`, "remove what leads elsewhere");
  if (lacking.some((one) => found.every((other) => familyOf(one) !== familyOf(other)))) {
    return info(
      `${found.join(", ")}; ${lacking.join(", ")} is not published`,
      "publish it, with its PTR record, or send by the other family alone: mta limit inet4",
    );
  }
  return ok(found.join(", "));
}

function heloFindings({ host, spf }: HostFacts): Finding[] {
  return spf.map(({ address, result }) => {
    const { ok, info, warning, error, unknown } = about("spf-helo", `${host} from ${address}`);
    const publish = `publish ${host}. IN TXT "v=spf1 a -all"`;
    if (result === "pass") return ok("passes");
    if (result === "none") return info("bounces have no SPF record to go by, that of the name in EHLO", publish);
    if (result === "temperror") return unknown("the DNS does not answer now");
    return result === "fail" || result === "permerror"
      ? error(`bounces do not pass SPF (${result})`, publish)
      : warning(`bounces do not pass SPF (${result})`, publish);
  });
}

function tlsaFinding({ host, tlsa, fits }: HostFacts): Finding {
  const { ok, info, error, unknown } = about("tlsa", host);
  if (tlsa.kind === "temporary") return unknown("the DNS does not answer now");
  if (tlsa.kind === "none") return info("there is no TLSA record: nobody checks the certificate by DANE");
  const results = tlsa.records.map(fits);
  if (results.includes(true)) return ok("a TLSA record fits to the certificate");
  return results.includes(null) ? unknown("the TLSA records cannot be compared with the certificate") : error(
    "no TLSA record fits to the certificate: who goes by DANE sends nothing",
    `publish a record of the certificate at _25._tcp.${host}, or remove those that are there`,
  );
}

function caaFinding({ host, caa, issuer }: HostFacts): Finding {
  const { ok, info, warning, unknown } = about("caa", host);
  if (caa.kind === "temporary") return unknown("the DNS does not answer now");
  if (caa.kind === "none") return info("there is no CAA record: any authority may issue certificates for the name");
  const named = caa.records.flatMap((record) => /^\d+ issue ([^;\s]*)/.exec(record)?.[1] ?? []);
  if (issuer !== null && named.length > 0 && !named.includes(issuer.caa)) {
    return warning(
      `the CAA records let ${
        named.join(", ")
      } issue certificates, and that of this host is of ${issuer.name}, which cannot renew it`,
      `publish ${host}. IN CAA 0 issue "${issuer.caa}"`,
    );
  }
  return ok(
    named.length === 0
      ? "CAA records name no authority for this kind"
      : `certificates are issued by ${named.join(", ")}`,
  );
}

export interface AddressFacts {
  readonly address: string;
  readonly names: DnsAnswer<string>;
  /** The addresses of each name. */
  readonly back: readonly { readonly name: string; readonly addresses: DnsAnswer<string> }[];
  /** Names that the host has in EHLO. */
  readonly hosts: readonly string[];
}

/** The name of an address, and whether it leads back. Large receivers refuse mail otherwise. */
export function ptrFinding({ address, names, back, hosts }: AddressFacts): Finding {
  const { ok, warning, error, unknown } = about("ptr", address);
  const [host = "the name of this host"] = hosts;
  const ask = `ask whoever gave you the address for ${reverseName(address)}. IN PTR ${host}.`;
  if (names.kind === "temporary") return unknown("the DNS does not answer now");
  if (names.kind === "none") return error("the address has no name", ask);
  const leads = back.filter(({ addresses }) => addresses.kind === "records" && addresses.records.includes(address));
  if (leads.length === 0) {
    return back.some(({ addresses }) => addresses.kind === "temporary")
      ? unknown(`the DNS does not say whether ${names.records.join(", ")} leads back`)
      : error(`its name ${names.records.join(", ")} does not lead back to it`, ask);
  }
  if (hosts.length === 0 || leads.some(({ name }) => hosts.includes(name))) {
    return ok(`${leads[0]!.name}, which leads back`);
  }
  return warning(`its name is ${leads[0]!.name}, and this host says ${hosts.join(", ")} in EHLO`, ask);
}

export interface BlocklistFacts {
  readonly address: string;
  readonly list: string;
  readonly answer: DnsAnswer<string>;
}

/** The name that is asked for at a blocklist (RFC 5782 §2.1, §2.4). */
export function blocklistName(address: string, list: string): string {
  return `${reverseName(address)!.replace(/\.(?:in-addr|ip6)\.arpa$/, "")}.${list}`;
}

/** Returns whether the address is on a blocklist, as a finding. */
export function blocklistFinding({ address, list, answer }: BlocklistFacts): Finding {
  const { ok, error, unknown } = about("blocklist", `${address} ${list}`);
  if (answer.kind === "temporary") return unknown("the list does not answer now");
  if (answer.kind === "none") return ok("not listed");
  // What Spamhaus and others answer to whom they do not serve.
  if (answer.records.some((one) => one.startsWith("127.255.255."))) {
    return unknown("the list does not answer this resolver", "use a name server of your own");
  }
  return answer.records.some((one) => one.startsWith("127."))
    ? error(
      `listed (${answer.records.join(", ")})`,
      `see the web page of ${list} for the reason, and ask to be taken out`,
    )
    : unknown(`the list answers what no list does (${answer.records.join(", ")}): it may have ended`);
}
