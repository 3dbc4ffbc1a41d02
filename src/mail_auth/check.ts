/**
 * The checks of one received message, joined: SPF, DKIM, ARC and DMARC, each as its folder has it. Takes the message as it streams and keeps
 * no body; all that it asks goes through the Dns that is passed in.
 */

import { DMARC_POLICIES, type MailAuth } from "../envelope/mod.ts";
import { type ArcVerdict, ArcVerifier } from "./arc/mod.ts";
import type { CheckedMessage } from "./authentication_results.ts";
import { BodyHashes } from "./dkim/body_hash.ts";
import { type DkimVerdict, DkimVerifier } from "./dkim/mod.ts";
import { checkDmarc, type DmarcVerdict } from "./dmarc/mod.ts";
import type { Dns, DnsAnswer } from "./dns.ts";
import { type FromDomains, fromDomains, headerFields } from "./header_fields.ts";
import { checkSpf, type SpfVerdict } from "./spf/mod.ts";

/** What was found out about a message. */
export interface Verdict {
  /** Of the sender, or for the null reverse-path of the name in HELO. All decisions go by it. */
  readonly spf: SpfVerdict;
  /** Of the name in HELO beside the sender (RFC 7208 §2.3), for Authentication-Results; null where it publishes nothing, or `spf` is of it already. */
  readonly spfHelo: SpfVerdict | null;
  /** One per signature; none for a message without signatures. */
  readonly dkim: readonly DkimVerdict[];
  readonly arc: ArcVerdict;
  readonly dmarc: DmarcVerdict;
  /** The message fails DMARC, but an ARC chain that passes, and all of whose sealers are trusted, vouches for it: it counts as passing. */
  readonly overridden: boolean;
}

export interface MessageCheckOptions {
  /** Address of the client, as text without brackets. */
  readonly client: string;
  readonly helo: string;
  /** The reverse-path without its brackets; "" for the null one. */
  readonly sender: string;
  /** The name of this host. */
  readonly receiver: string;
  readonly dns: Dns;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Whether the seals of a domain are believed, `null` where that is not known now; null where none are. */
  readonly trusts: ((domain: string) => Promise<boolean | null>) | null;
}

/** The check of one message, from its envelope on. `header` is called before `body`, and `finish` once at the end. Nothing here throws or rejects. */
export class MessageCheck {
  readonly #dns: ExpiringDns;
  readonly #trusts: MessageCheckOptions["trusts"];
  readonly #spf: Promise<SpfVerdict>;
  readonly #spfHelo: Promise<SpfVerdict> | null;
  readonly #bodyHashes = new BodyHashes();
  readonly #dkim: DkimVerifier;
  readonly #arc: ArcVerifier;
  #from: FromDomains = { kind: "none" };
  /** The header section was too long to be looked at. */
  #tooLong = false;

  constructor({ client, helo, sender, receiver, dns, now, trusts }: MessageCheckOptions) {
    this.#dns = new ExpiringDns(dns);
    this.#trusts = trusts;
    const query = { client, helo, sender, receiver, now };
    this.#spf = checkSpf(query, this.#dns);
    this.#spfHelo = sender === "" ? null : checkSpf({ ...query, sender: "" }, this.#dns);
    const options = { now, dns: this.#dns, bodyHashes: this.#bodyHashes };
    this.#dkim = new DkimVerifier(options);
    this.#arc = new ArcVerifier(options);
  }

  /** The header section without the blank line behind it, with LF line ends; null for one that is too long. */
  header(block: Uint8Array | null): void {
    if (block === null) {
      this.#tooLong = true;
      this.#from = { kind: "invalid" };
      return;
    }
    const fields = headerFields(block);
    this.#from = fromDomains(fields);
    this.#dkim.header(block, fields);
    this.#arc.header(block, fields);
  }

  /** A piece of the body. */
  body(octets: Uint8Array): void {
    this.#bodyHashes.update(octets);
  }

  /** No answer of the DNS is waited for any more: what has none is a temporary error. */
  expire(): void {
    this.#dns.expire();
  }

  /** Returns what was found, when all that was asked of the DNS is answered, or `expire` was called. */
  async finish(): Promise<Verdict> {
    this.#bodyHashes.finish();
    const [spf, ofHelo, signatures, arc] = await Promise.all([
      this.#spf,
      this.#spfHelo,
      this.#dkim.finish(),
      this.#arc.finish(),
    ]);
    const spfHelo = ofHelo?.result === "none" ? null : ofHelo;
    const dkim = this.#tooLong ? [UNREAD] : signatures;
    const dmarc = await checkDmarc({ from: this.#from, spf, dkim }, this.#dns);
    const sealed = dmarc.result === "fail" ? await this.#isSealed(arc) : false;
    if (sealed !== null) return { spf, spfHelo, dkim, arc, dmarc, overridden: sealed };
    const reason = "Whether its ARC seals are trusted is not known now";
    return { spf, spfHelo, dkim, arc, dmarc: { ...dmarc, result: "temperror", reason }, overridden: false };
  }

  /** Every sealer is trusted: one that is not could have written what those before it have found. Null: that is not known now. */
  async #isSealed({ result, sealers }: ArcVerdict): Promise<boolean | null> {
    const trusts = this.#trusts;
    if (trusts === null || result !== "pass" || sealers.length === 0) return false;
    const asked = Promise.all([...new Set(sealers)].map((domain) => trusts(domain)));
    const trusted = await Promise.race([asked, this.#dns.expired]);
    if (trusted === null || trusted.includes(null)) return null;
    return trusted.every((one) => one);
  }
}

/** Of a message whose header section was not looked at. */
const UNREAD: DkimVerdict = {
  result: "permerror",
  domain: "",
  selector: "",
  identity: null,
  algorithm: "",
  signature: "",
  reason: "The header section is too long",
  keyBits: null,
  testing: false,
};

/** The best result first. */
const DKIM_ORDER = ["pass", "temperror", "fail", "policy", "neutral", "permerror"] as const;

/** Returns a verdict in short. */
export function summaryOf({ spf, dkim, arc, dmarc, overridden }: Verdict): MailAuth {
  const policy = dmarc.result === "fail" && !overridden
    ? DMARC_POLICIES.find((one) => one === dmarc.policy)
    : undefined;
  return {
    spf: spf.result,
    dkim: DKIM_ORDER.find((result) => dkim.some((one) => one.result === result)) ?? "none",
    arc: arc.result,
    dmarc: overridden ? "pass" : dmarc.result,
    ...(policy === undefined ? {} : { policy }),
  };
}

/** Returns a verdict as Authentication-Results tells it. */
export function shownVerdict(verdict: Verdict): CheckedMessage {
  if (!verdict.overridden) return verdict;
  return { ...verdict, dmarc: { ...verdict.dmarc, result: "pass", reason: "by the ARC seals of trusted hosts" } };
}

/** A Dns that answers no more from some moment on: whoever waits then hears at once that there is no answer. */
class ExpiringDns implements Dns {
  readonly #dns: Dns;
  readonly #expiry = Promise.withResolvers<null>();
  /** Kept when `expire` was called. */
  readonly expired = this.#expiry.promise;

  constructor(dns: Dns) {
    this.#dns = dns;
  }

  expire(): void {
    this.#expiry.resolve(null);
  }

  txt(name: string) {
    return this.#unlessOver(() => this.#dns.txt(name));
  }

  addresses(name: string, family: 4 | 6) {
    return this.#unlessOver(() => this.#dns.addresses(name, family));
  }

  mx(name: string) {
    return this.#unlessOver(() => this.#dns.mx(name));
  }

  names(address: string) {
    return this.#unlessOver(() => this.#dns.names(address));
  }

  async #unlessOver<T>(ask: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> {
    return await Promise.race([ask(), this.expired]) ?? { kind: "temporary" };
  }
}
