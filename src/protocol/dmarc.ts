/** Checks of a result of DMARC that is counted for a report. Shape and bounds only. */

import type { DmarcResult, PublishedPolicy, ReportRow } from "../mail_auth/dmarc_report/mod.ts";
import { type Check, flag, list, nullOr, oneOf, record, text } from "./check.ts";

/** Octets of a domain or a selector; signatures in a row; characters of an address or a result. As dmarc_report/result.ts cuts them. */
const MAX_DOMAIN_OCTETS = 253, MAX_SIGNATURES = 10, MAX_WORD_CHARS = 45;

const domain = text(MAX_DOMAIN_OCTETS), word = text(MAX_WORD_CHARS);
const policy = oneOf("none", "quarantine", "reject"), mode = oneOf("r", "s"), alignment = oneOf("pass", "fail");

export const dmarcResult: Check<DmarcResult> = record<DmarcResult>({
  policy: record<PublishedPolicy>({
    domain,
    p: policy,
    sp: nullOr(policy),
    np: nullOr(policy),
    adkim: mode,
    aspf: mode,
    fo: nullOr(word),
    testing: flag,
  }),
  row: record<ReportRow>({
    source: word,
    disposition: oneOf("none", "pass", "quarantine", "reject"),
    dkim: alignment,
    spf: alignment,
    override: nullOr(oneOf("local_policy", "policy_test_mode", "trusted_forwarder")),
    headerFrom: domain,
    envelopeFrom: domain,
    dkimAuth: list(record({ domain, selector: domain, result: word }), MAX_SIGNATURES),
    spfAuth: nullOr(record({ domain, result: word })),
  }),
});
