/** Answers of the DNS that are kept while they are asked for, and given again without the DNS. */

import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import type { DnsKind } from "../protocol/mod.ts";
import { askDns } from "../lookup/dns_question.ts";
import { dnsBy } from "../smtp/mail_check.ts";

/** A question with its answer. */
export interface DnsRecording {
  readonly kind: DnsKind;
  readonly name: string;
  readonly answer: DnsAnswer<string>;
}

/** Answers that one message may ask for at most: SPF allows 10 questions with names of their own, DKIM one a signature, ARC one a seal. */
export const MAX_RECORDINGS = 1000;

/** Returns what asks `dns`, and keeps each answer in `kept`. */
export function recordingDns(dns: Dns, kept: DnsRecording[]): Dns {
  return dnsBy(async (kind, name) => {
    const answer = await askDns(dns, kind, name);
    const known = kept.some((one) => one.kind === kind && one.name === name);
    if (!known && kept.length < MAX_RECORDINGS) kept.push({ kind, name, answer });
    return answer;
  });
}

/** Returns what answers from `kept`. What is not there is not known: it is noted in `missing`, and answered as by name servers that fail. */
export function replayedDns(kept: readonly DnsRecording[], missing: string[]): Dns {
  return dnsBy((kind, name) => {
    const known = kept.find((one) => one.kind === kind && one.name === name);
    if (known === undefined && missing.length < MAX_RECORDINGS) missing.push(`${kind} ${name}`);
    return Promise.resolve(known?.answer ?? { kind: "temporary" });
  });
}
