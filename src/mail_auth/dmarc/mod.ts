/** DMARC, RFC 9989: does what SPF and DKIM found belong to the author that a reader sees, and if not, what does the author's domain ask for? */

import { normalName } from "../../net/mod.ts";
import type { Dns } from "../dns.ts";
import type { FromDomains } from "../header_fields.ts";
import type { DmarcPolicy, DmarcRecord } from "./record.ts";
import { policyFor, TreeWalks } from "./tree_walk.ts";

export type { DmarcPolicy, DmarcRecord } from "./record.ts";

export type DmarcResult = "none" | "pass" | "fail" | "temperror" | "permerror";

/** What DMARC needs of a check by SPF, of the MAIL FROM identity, or by DKIM. */
export interface CheckedIdentity {
  readonly result: string;
  readonly domain: string;
}

export interface DmarcMessage {
  readonly from: FromDomains;
  readonly spf: CheckedIdentity;
  readonly dkim: readonly CheckedIdentity[];
}

export interface DmarcVerdict {
  readonly result: DmarcResult;
  /** The domain of From; "" when there is not exactly one. */
  readonly domain: string;
  /** The domain at the top of its organisation; null when that was not needed, or is not known. */
  readonly organizational: string | null;
  /** What its domain asks for when the result is `fail`, a step less with `t=y`; null without a record, or when the DNS did not say. */
  readonly policy: DmarcPolicy | null;
  readonly record: DmarcRecord | null;
  /** SPF passed, for a domain that fits to From. */
  readonly spfAligned: boolean;
  /** The domain of the first signature that passed and fits to From. */
  readonly dkimAligned: string | null;
  readonly reason: string | null;
}

const NOTHING = {
  domain: "",
  organizational: null,
  policy: null,
  record: null,
  spfAligned: false,
  dkimAligned: null,
} as const;

const NO_AUTHOR: Readonly<Record<Exclude<FromDomains["kind"], "one">, string>> = {
  several: "From has more than one domain",
  none: "No From",
  invalid: "From has no valid address",
};

/** With `t=y` a policy counts one step less (RFC 9989 §4.7). */
const TESTED: Readonly<Record<DmarcPolicy, DmarcPolicy>> = { none: "none", quarantine: "none", reject: "quarantine" };

/**
 * Evaluates DMARC for a message that SPF and DKIM have been through. What has not exactly one author domain cannot pass: permerror. Where the DNS
 * had no answer that matters, here or to SPF or DKIM, the result is temperror and no `fail` (RFC 9989 §5.3.6). Never rejects. Asks at most
 * eight questions for each domain of From, SPF and DKIM, and one whether the author domain exists.
 */
export async function checkDmarc(message: DmarcMessage, dns: Dns): Promise<DmarcVerdict> {
  const { from } = message;
  if (from.kind !== "one") return { ...NOTHING, result: "permerror", reason: NO_AUTHOR[from.kind] };
  const author = from.domain.toLowerCase();
  const walks = new TreeWalks(dns);
  const search = await walks.policy(author);
  switch (search.kind) {
    case "temporary":
      return { ...NOTHING, result: "temperror", domain: author, reason: noAnswer(search.name) };
    case "none":
      return { ...NOTHING, result: "none", domain: author, reason: null };
    case "found": {
      const { record, problem } = search.parsed;
      if (problem !== null) return { ...NOTHING, result: "permerror", domain: author, reason: problem };
      return await evaluate({ author, record, message }, walks, dns);
    }
  }
  search satisfies never;
}

/** The identifiers against the record that applies. */
async function evaluate(
  { author, record, message }: {
    readonly author: string;
    readonly record: DmarcRecord;
    readonly message: DmarcMessage;
  },
  walks: TreeWalks,
  dns: Dns,
): Promise<DmarcVerdict> {
  const alignment = new Alignment(author, record, walks);
  const spf = await alignment.of(message.spf, record.aspf);
  let dkim: Aligned = "no", dkimAligned: string | null = null;
  for (const signature of message.dkim) {
    const aligned = await alignment.of(signature, record.adkim);
    if (aligned === "pass" && dkimAligned === null) dkimAligned = signature.domain;
    if (aligned !== "no" && dkim !== "pass") dkim = aligned;
  }
  const passes = spf === "pass" || dkim === "pass", unknown = spf === "unknown" || dkim === "unknown";
  const applicable = await policyFor(record, author, async () => {
    const answer = await dns.addresses(author, 4);
    return answer.kind === "temporary" ? "temporary" : answer.kind === "records" || answer.exists;
  });
  const policy = applicable === "temporary" ? null : record.testing ? TESTED[applicable] : applicable;
  const common = {
    domain: author,
    organizational: alignment.organization,
    policy,
    record,
    spfAligned: spf === "pass",
    dkimAligned,
  };
  if (passes) return { ...common, result: "pass", reason: null };
  if (unknown) return { ...common, result: "temperror", reason: alignment.unknown ?? noAnswer(author) };
  if (policy === null) return { ...common, result: "temperror", reason: noAnswer(author) };
  return { ...common, result: "fail", reason: `Neither SPF nor DKIM passed for ${author}` };
}

/** Of one identifier: it passed and is aligned; it is not; or the DNS did not say, and it may be. */
type Aligned = "pass" | "no" | "unknown";

/** Which identifiers fit to an author domain (RFC 9989 §4.4, §4.10.2). Organisations are found when the first relaxed comparison needs them. */
class Alignment {
  readonly #author: string;
  readonly #record: DmarcRecord;
  readonly #walks: TreeWalks;
  /** Of the author domain; null as long as nothing needed it. */
  organization: string | null = null;
  /** Why an identifier is unknown. */
  unknown: string | null = null;

  constructor(author: string, record: DmarcRecord, walks: TreeWalks) {
    this.#author = author;
    this.#record = record;
    this.#walks = walks;
  }

  async of({ result, domain }: CheckedIdentity, mode: "r" | "s"): Promise<Aligned> {
    if (result !== "pass" && result !== "temperror") return "no";
    const name = normalName(domain);
    const same = name === null ? false : await this.#isAligned(name, mode);
    if (same === false) return "no";
    if (same === true && result === "pass") return "pass";
    if (same === true) this.unknown ??= `No result of SPF or DKIM for ${name}`;
    return "unknown";
  }

  async #isAligned(name: string, mode: "r" | "s"): Promise<boolean | "unknown"> {
    if (name === this.#author) {
      // The common domain is an organisation of its own where it has a record (RFC 9989 §4.10.2).
      if (this.#record.domain === name) this.organization ??= name;
      return true;
    }
    if (mode === "s") return false;
    const own = await this.#walks.organization(this.#author);
    if (own.kind === "temporary") return sharesTop(name, this.#author) ? this.#unanswered(own.name) : false;
    this.organization = own.domain;
    // The organisation of a name is the name or above it: one that is elsewhere needs no walk.
    if (name !== own.domain && !name.endsWith(`.${own.domain}`)) return false;
    const other = await this.#walks.organization(name);
    return other.kind === "temporary" ? this.#unanswered(other.name) : other.domain === own.domain;
  }

  #unanswered(name: string): "unknown" {
    this.unknown ??= noAnswer(`_dmarc.${name}`);
    return "unknown";
  }
}

/** Names under different top-level domains are of different organisations, whatever is published. */
const sharesTop = (one: string, other: string) =>
  one.slice(one.lastIndexOf(".") + 1) === other.slice(other.lastIndexOf(".") + 1);

const noAnswer = (name: string) => `No answer from the DNS for ${name}`;
