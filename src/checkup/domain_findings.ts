/** What the DNS says of a domain that mail is for or from: MX, SPF, DKIM, DMARC, MTA-STS, TLS-RPT. Pure. */

import { type Published, recordName, zoneLine } from "../dkim_keys/mod.ts";
import type { DnsAnswer, DnsMx } from "../mail_auth/dns.ts";
import type { DmarcVerdict } from "../mail_auth/dmarc/mod.ts";
import type { SpfVerdict } from "../mail_auth/spf/mod.ts";
import type { Finding } from "../protocol/mod.ts";
import { about } from "../findings/mod.ts";

/** What SPF says of mail from one of our addresses. */
export interface SpfFacts {
  readonly address: string;
  readonly verdict: Pick<SpfVerdict, "result" | "mechanism" | "reason">;
}

export interface DomainFacts {
  readonly domain: string;
  /** Mail for it is delivered here. */
  readonly receives: boolean;
  /** Mail from it is signed here. */
  readonly sends: boolean;
  readonly mx: DnsAnswer<DnsMx>;
  /** Which of its exchangers have one of our addresses. */
  readonly ours: readonly string[];
  /** The name to put into an MX record. */
  readonly host: string;
  readonly spf: readonly SpfFacts[];
  /** Of a message that SPF passes for. */
  readonly dmarc: Pick<DmarcVerdict, "result" | "reason"> & {
    readonly record: null | {
      readonly policy: string;
      /** Reports are asked for. */
      readonly reports: boolean;
    };
  };
  readonly mtaSts: DnsAnswer<string>;
  /** The addresses of the host that serves the policy; null where it was not asked for. */
  readonly mtaStsHost: DnsAnswer<string> | null;
  readonly tlsRpt: DnsAnswer<string>;
}

export interface DkimFacts {
  readonly domain: string;
  readonly selector: string;
  readonly record: string;
  readonly published: Published;
  /** It signs when its record is there. */
  readonly waits: boolean;
}

/** All findings of one domain. */
export function domainFindings(facts: DomainFacts): readonly Finding[] {
  return [
    ...facts.receives ? [mxFinding(facts)] : [],
    ...facts.spf.length > 0 ? spfFindings(facts) : [],
    dmarcFinding(facts),
    ...facts.receives ? [mtaStsFinding(facts), tlsRptFinding(facts)] : [],
  ];
}

function mxFinding({ domain, mx, ours, host }: DomainFacts): Finding {
  const { ok, warning, error, unknown } = about("mx", domain);
  const publish = `publish ${domain}. IN MX 10 ${host}.`;
  if (mx.kind === "temporary") return unknown("the DNS does not answer now");
  if (mx.kind === "none") return error("there is no MX record, and mail for the domain does not arrive", publish);
  const hosts = mx.records.map((one) => one.host);
  if (hosts.every((one) => one === "")) {
    return error("the record is a null MX (RFC 7505): it says that the domain takes no mail", publish);
  }
  if (ours.length > 0) return ok(`mail goes to ${hosts.join(", ")}`);
  return warning(
    `mail goes to ${hosts.join(", ")}, which have none of the addresses of this host`,
    `if mail is to come here, ${publish}`,
  );
}

function spfFindings({ domain, spf }: DomainFacts): Finding[] {
  return spf.map(({ address, verdict: { result, mechanism, reason } }) => {
    const { ok, warning, error, unknown } = about("spf", `${domain} from ${address}`);
    const add = `add ${address.includes(":") ? "ip6" : "ip4"}:${address}, or mx, to the record of ${domain}`;
    switch (result) {
      case "pass":
        return ok(`passes, by ${mechanism ?? "the record"}`);
      case "none":
        return error("there is no SPF record", `publish ${domain}. IN TXT "v=spf1 mx -all"`);
      case "fail":
        return error("the record forbids mail from this address", add);
      case "softfail":
      case "neutral":
        return warning(`the record does not vouch for mail from this address (${result})`, add);
      case "permerror":
        return error(`the record cannot be used${why(reason)}`, "mend it: receivers ignore it, or refuse the mail");
      case "temperror":
        return unknown(`the DNS does not answer now${why(reason)}`);
    }
  });
}

function why(reason: string | null): string {
  return reason === null ? "" : ` (${reason})`;
}

/** A key of DKIM and its record. */
export function dkimFindings(keys: readonly DkimFacts[]): readonly Finding[] {
  return keys.map(({ domain, selector, record, published, waits }) => {
    const { ok, info, error, unknown } = about("dkim", `${domain} ${selector}`);
    const name = recordName(domain, selector), line = zoneLine(name, record);
    switch (published) {
      case "ok":
        return waits
          ? info("the DNS has the record of the new key, which signs as soon as smtpd looks", "smtpctl update dkim")
          : ok("the DNS has our key");
      case "missing":
        return waits ? info("the new key waits for its record", `publish ${line}`) : error(
          "the DNS has no record of the key that signs: receivers count the signature as none",
          `publish ${line}`,
        );
      case "differs":
        return error("the record holds another key, or does not let it sign mail", `replace it by ${line}`);
      case "several":
        return error("there are several TXT records, of which receivers take any", `leave only ${line}`);
      case "unknown":
        return unknown(`the DNS does not answer for ${name} now`);
    }
  });
}

/** Domains that mail comes from, and that nothing is signed for. `signs`: keys are configured at all. */
export function unsignedFinding(
  domains: readonly string[],
  { signs }: { readonly signs: boolean },
): readonly Finding[] {
  return domains.map((domain) =>
    about("dkim", domain).warning(
      signs ? "mail from this domain is not signed: no dkim line names it" : "mail from this domain is not signed",
      `make keys with smtpctl dkim generate ${domain}`,
    )
  );
}

function dmarcFinding({ domain, dmarc }: DomainFacts): Finding {
  const { ok, info, warning, error, unknown } = about("dmarc", domain);
  const publish = `publish _dmarc.${domain}. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@${domain}"`;
  if (dmarc.result === "temperror") return unknown("the DNS does not answer now");
  if (dmarc.result === "none") return warning("there is no DMARC record", publish);
  if (dmarc.result === "permerror" || dmarc.record === null) {
    return error(`the record cannot be used${why(dmarc.reason)}`, publish);
  }
  const { policy, reports } = dmarc.record;
  if (policy !== "none") return ok(`the policy is ${policy}`);
  return reports
    ? info("the policy is none: forged mail is only reported", "when the reports are clean, publish p=quarantine")
    : warning(
      "the policy is none, and no reports are asked for: the record has no effect",
      `add rua=mailto:postmaster@${domain}`,
    );
}

function mtaStsFinding({ domain, mtaSts, mtaStsHost }: DomainFacts): Finding {
  const { ok, info, error, unknown } = about("mta-sts", domain);
  if (mtaSts.kind === "temporary") return unknown("the DNS does not answer now");
  const records = mtaSts.kind === "none" ? [] : mtaSts.records.filter((one) => /^v=STSv1\s*;/.test(one));
  if (records.length === 0) return info("there is no MTA-STS record: others may send to this host without TLS");
  // RFC 8461 §3.1.
  if (records.length > 1) return error("there are several MTA-STS records, and others take none", "leave one");
  if (!/;\s*id=[A-Za-z0-9]{1,32}\s*(?:;|$)/.test(records[0]!)) {
    return error("the MTA-STS record has no id of letters and digits", `publish "v=STSv1; id=1" at _mta-sts.${domain}`);
  }
  if (mtaStsHost?.kind === "temporary") return unknown(`the DNS does not answer for mta-sts.${domain} now`);
  return mtaStsHost?.kind === "records"
    ? ok(`there is a record, and a host mta-sts.${domain}; the page that it serves is not looked at`)
    : error(
      `there is a record, and no host mta-sts.${domain} that serves the policy`,
      "remove the record, or serve the policy",
    );
}

function tlsRptFinding({ domain, tlsRpt }: DomainFacts): Finding {
  const { ok, info, warning, unknown } = about("tls-rpt", domain);
  const publish = `publish _smtp._tls.${domain}. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@${domain}"`;
  if (tlsRpt.kind === "temporary") return unknown("the DNS does not answer now");
  const records = tlsRpt.kind === "none" ? [] : tlsRpt.records.filter((one) => /^v=TLSRPTv1\s*;/.test(one));
  if (records.length === 0) return info("nobody reports when TLS to this host fails", publish);
  // RFC 8460 §3.
  if (records.length > 1) return warning("there are several TLS-RPT records, and others take none", "leave one");
  return /;\s*rua=(?:mailto:|https:)/.test(records[0]!)
    ? ok("failures of TLS are reported")
    : warning("the TLS-RPT record names no place for reports", publish);
}
