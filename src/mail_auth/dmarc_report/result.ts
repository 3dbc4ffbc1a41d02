/** What an aggregate report (RFC 9990) counts: the result of DMARC for one message, without anything that says whose it was. */

export type Disposition = "none" | "pass" | "quarantine" | "reject";
export type Alignment = "pass" | "fail";

/** The record of a domain, as a report repeats it. */
export interface PublishedPolicy {
  /** Where the record stands, without `_dmarc.`: the Policy Domain. One report is about one of these. */
  readonly domain: string;
  readonly p: string;
  readonly sp: string | null;
  readonly np: string | null;
  readonly adkim: "r" | "s";
  readonly aspf: "r" | "s";
  readonly fo: string | null;
  /** `t=y`. */
  readonly testing: boolean;
}

/** A result of DKIM or SPF, uninterpreted. */
export interface DkimAuth {
  readonly domain: string;
  readonly selector: string;
  readonly result: string;
}
export interface SpfAuth {
  readonly domain: string;
  readonly result: string;
}

/** What messages have in common that are counted together. */
export interface ReportRow {
  /** IPv4 or bare IPv6. */
  readonly source: string;
  readonly disposition: Disposition;
  readonly dkim: Alignment;
  readonly spf: Alignment;
  /** Why the disposition is not what the policy asks for; null where it is. */
  readonly override: "local_policy" | "policy_test_mode" | "trusted_forwarder" | null;
  readonly headerFrom: string;
  /** "" for the null sender. */
  readonly envelopeFrom: string;
  readonly dkimAuth: readonly DkimAuth[];
  readonly spfAuth: SpfAuth | null;
}

/** One message's share of a report. */
export interface DmarcResult {
  readonly policy: PublishedPolicy;
  readonly row: ReportRow;
}

/** Signatures in a row: what is checked is no more (RFC 9990 has 100). */
export const MAX_ROW_SIGNATURES = 10;
/** Octets of a domain or a selector. */
export const MAX_DOMAIN_OCTETS = 253;

/** What of a verdict a report needs; `Verdict` of check.ts has it. */
export interface ReportedVerdict {
  readonly spf: { readonly result: string; readonly identity: "mailfrom" | "helo"; readonly domain: string };
  readonly dkim: ReadonlyArray<{ readonly result: string; readonly domain: string; readonly selector: string }>;
  readonly dmarc: {
    readonly result: string;
    readonly domain: string;
    readonly policy: string | null;
    readonly record: (PublishedPolicy & { readonly rua: readonly string[] }) | null;
    readonly spfAligned: boolean;
    readonly dkimAligned: string | null;
  };
  /** A failure does not count: trusted sealers vouch for the message. */
  readonly overridden: boolean;
}

/** What became of a message that was checked. */
export type Fate = "accepted" | "junked" | "rejected";

/**
 * Returns what a report to the author's domain counts of a message that `client` (IPv4 or bare IPv6) brought; null when nobody asks for a
 * report, or when the check did not come to an end.
 */
export function dmarcResult(
  verdict: ReportedVerdict,
  { client, fate }: { readonly client: string; readonly fate: Fate },
): DmarcResult | null {
  const { spf, dkim, dmarc } = verdict;
  const { record, result } = dmarc;
  if (record === null || record.rua.length === 0 || (result !== "pass" && result !== "fail")) return null;
  const { domain, p, sp, np, adkim, aspf, fo, testing } = record;
  const disposition = dispositionOf(result, dmarc.policy, fate);
  const identity = spf.domain.slice(0, MAX_DOMAIN_OCTETS);
  return {
    policy: { domain, p, sp, np, adkim, aspf, fo: fo?.slice(0, 20) ?? null, testing },
    row: {
      source: client,
      disposition,
      dkim: dmarc.dkimAligned === null ? "fail" : "pass",
      spf: dmarc.spfAligned ? "pass" : "fail",
      override: verdict.overridden && disposition === "none"
        ? "trusted_forwarder"
        : overrideOf(disposition, dmarc.policy, { p, testing }),
      headerFrom: dmarc.domain.slice(0, MAX_DOMAIN_OCTETS),
      envelopeFrom: spf.identity === "mailfrom" ? identity : "",
      dkimAuth: dkimAuth(dkim, dmarc.dkimAligned),
      spfAuth: identity === "" ? null : { domain: identity, result: spf.result },
    },
  };
}

/** What was refused although the policy asks for nothing was refused for other reasons, which are in no report. */
function dispositionOf(result: "pass" | "fail", policy: string | null, fate: Fate): Disposition {
  if (result === "pass") return "pass";
  if (fate === "rejected") return policy === "none" ? "none" : "reject";
  return fate === "junked" ? "quarantine" : "none";
}

/** RFC 9990, "Policy Override Reason": an action that differs from the policy says why. `policy` is what the domain asks for, `t=` applied. */
function overrideOf(
  disposition: Disposition,
  policy: string | null,
  { p, testing }: { readonly p: string; readonly testing: boolean },
): ReportRow["override"] {
  if (disposition === "pass") return null;
  if (disposition !== (policy ?? "none")) return "local_policy";
  return testing && p !== "none" ? "policy_test_mode" : null;
}

/** RFC 9990, "DKIM Signatures in Aggregate Reports": signatures that pass and are aligned come first, then others that pass, then the rest. */
function dkimAuth(verdicts: ReportedVerdict["dkim"], aligned: string | null): DkimAuth[] {
  const rank = ({ result, domain }: DkimAuth) => result !== "pass" ? 2 : domain === aligned ? 0 : 1;
  return verdicts
    .map(({ result, domain, selector }) => ({
      domain: domain.slice(0, MAX_DOMAIN_OCTETS),
      selector: selector.slice(0, MAX_DOMAIN_OCTETS),
      result,
    }))
    .filter(({ domain, result }) => domain !== "" && result !== "none")
    .sort((one, other) => rank(one) - rank(other))
    .slice(0, MAX_ROW_SIGNATURES);
}
