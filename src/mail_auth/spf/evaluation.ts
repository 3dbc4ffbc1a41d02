/** check_host() of RFC 7208 §4: one evaluation, with what it has asked so far. Parses nothing; see record.ts and macros.ts. */

import { type AddressWords, isInNetwork, parseAddress } from "../../net/mod.ts";
import type { Dns, DnsAnswer } from "../dns.ts";
import {
  type DomainSpec,
  domainTarget,
  expandExplanation,
  isQueryable,
  type MacroValues,
  parseMacroString,
  usesValidatedName,
} from "./macros.ts";
import { isSpfRecord, type Mechanism, parseSpfRecord, type PrefixLengths, type SpfRecord } from "./record.ts";

export type SpfResult = "none" | "neutral" | "pass" | "fail" | "softfail" | "temperror" | "permerror";

/** RFC 7208 §4.6.4: terms that ask the DNS, and those of them for which it has nothing. */
const MAX_LOOKUP_TERMS = 10, MAX_VOID_TERMS = 2;
/** RFC 7208 §4.6.4: MX records of one term, and PTR records of the client. */
const MAX_MX_HOSTS = 10, MAX_PTR_NAMES = 10;
/** An explanation goes into a reply; what a stranger wrote may not fill it. */
const MAX_EXPLANATION_CHARACTERS = 400;

/** What does not depend on the domain that is being evaluated. */
export interface SpfMessage {
  readonly words: AddressWords;
  /** For all letters but `d` and `p`. */
  readonly values: Omit<MacroValues, "d" | "p">;
}

/** What one record, with those that it leads to, brought. */
export interface Evaluated {
  readonly result: SpfResult;
  /** The term that matched, as written; `default` when none did; null when there was no record, or an error. */
  readonly mechanism: string | null;
  readonly reason: string | null;
  /** Where the explanation of a `fail` is. */
  readonly explanation: { readonly spec: DomainSpec; readonly domain: string } | null;
}

interface Failure {
  readonly result: "temperror" | "permerror";
  readonly reason: string;
}

const failed = ({ result, reason }: Failure): Evaluated => ({ result, reason, mechanism: null, explanation: null });

/** One evaluation: the limits of RFC 7208 §4.6.4 are over all records that it reads. */
export class SpfEvaluation {
  readonly #dns: Dns;
  readonly #message: SpfMessage;
  #lookupTerms = 0;
  #voidTerms = 0;
  #validated: Promise<{ readonly names: readonly string[]; readonly isVoid: boolean }> | null = null;

  constructor(message: SpfMessage, dns: Dns) {
    this.#message = message;
    this.#dns = dns;
  }

  /** Evaluates the record of `domain`. Never rejects. */
  async check(domain: string): Promise<Evaluated> {
    const answer = await this.#dns.txt(domain);
    if (answer.kind === "temporary") {
      return failed({ result: "temperror", reason: `No answer from the DNS for ${domain}` });
    }
    const texts = answer.kind === "none" ? [] : answer.records.filter(isSpfRecord);
    const [text] = texts;
    if (text === undefined) {
      return { result: "none", mechanism: null, reason: `${domain} has no SPF record`, explanation: null };
    }
    if (texts.length > 1) {
      return failed({ result: "permerror", reason: `${domain} has ${texts.length} SPF records` });
    }
    const parsed = parseSpfRecord(text);
    if (parsed.kind === "error") {
      return failed({ result: "permerror", reason: `SPF record of ${domain}: ${parsed.reason}` });
    }
    return await this.#evaluate(parsed.record, domain);
  }

  /** What the domain says to a client that it refuses (RFC 7208 §6.2); null for an explanation with any mistake. */
  async explain({ spec, domain }: { readonly spec: DomainSpec; readonly domain: string }): Promise<string | null> {
    const target = domainTarget(spec, await this.#values(spec, domain));
    if (target.kind !== "name") return null;
    const answer = await this.#dns.txt(target.name);
    if (answer.kind !== "records" || answer.records.length !== 1) return null;
    const parts = parseMacroString(answer.records[0]!, { spaces: true });
    if (parts === null) return null;
    return expandExplanation(parts, await this.#values(parts, domain), { limit: MAX_EXPLANATION_CHARACTERS });
  }

  async #evaluate(record: SpfRecord, domain: string): Promise<Evaluated> {
    for (const { mechanism, result, text } of record.directives) {
      const matched = await this.#matches(mechanism, domain, text);
      if (typeof matched !== "boolean") return failed(matched);
      if (!matched) continue;
      const explanation = result === "fail" && record.explanation !== null
        ? { spec: record.explanation, domain }
        : null;
      return { result, mechanism: text, reason: null, explanation };
    }
    if (record.redirect !== null) return await this.#redirect(record.redirect, domain);
    return { result: "neutral", mechanism: "default", reason: null, explanation: null };
  }

  /** RFC 7208 §6.1. */
  async #redirect(spec: DomainSpec, domain: string): Promise<Evaluated> {
    const failure = this.#countTerm("redirect", domain);
    if (failure !== null) return failed(failure);
    const target = domainTarget(spec, await this.#values(spec, domain));
    if (target.kind === "unmatchable") {
      return { result: "neutral", mechanism: "default", reason: null, explanation: null };
    }
    if (target.kind === "malformed") {
      return failed({ result: "permerror", reason: `${domain}: redirect leads to no valid name` });
    }
    const evaluated = await this.check(target.name);
    if (evaluated.result !== "none") return evaluated;
    return failed({ result: "permerror", reason: `${domain}: redirect, but ${evaluated.reason}` });
  }

  async #matches(mechanism: Mechanism, domain: string, text: string): Promise<boolean | Failure> {
    switch (mechanism.kind) {
      case "all":
        return true;
      case "ip":
        return isInNetwork(this.#message.words, mechanism);
    }
    const failure = this.#countTerm(text, domain);
    if (failure !== null) return failure;
    const { spec } = mechanism;
    let name = domain;
    if (spec !== null) {
      const target = domainTarget(spec, await this.#values(spec, domain));
      if (target.kind === "malformed" && mechanism.kind === "include") {
        return { result: "permerror", reason: `${domain}: ${text} leads to no valid name` };
      }
      if (target.kind !== "name") return false;
      name = target.name;
    }
    switch (mechanism.kind) {
      case "include":
        return await this.#include(name, domain, text);
      case "a":
        return await this.#hasAddress(name, mechanism.prefix);
      case "mx":
        return await this.#isMx(name, mechanism.prefix);
      case "ptr":
        return await this.#isNamed(name);
      case "exists":
        return await this.#exists(name);
    }
    mechanism satisfies never;
  }

  #countTerm(text: string, domain: string): Failure | null {
    if (++this.#lookupTerms <= MAX_LOOKUP_TERMS) return null;
    const reason = `More than ${MAX_LOOKUP_TERMS} terms that ask the DNS, at ${text} of ${domain}`;
    return { result: "permerror", reason };
  }

  /** A term for which the DNS has nothing; more than two are an error. */
  #noMatchVoid(name: string): false | Failure {
    if (++this.#voidTerms <= MAX_VOID_TERMS) return false;
    const reason = `More than ${MAX_VOID_TERMS} terms for which the DNS has nothing, at ${name}`;
    return { result: "permerror", reason };
  }

  /** RFC 7208 §5.2: the table of what the included record brings. */
  async #include(name: string, domain: string, text: string): Promise<boolean | Failure> {
    const { result, reason } = await this.check(name);
    switch (result) {
      case "pass":
        return true;
      case "fail":
      case "softfail":
      case "neutral":
        return false;
      case "temperror":
      case "permerror":
        return { result, reason: reason ?? `${domain}: ${text}` };
      case "none":
        return { result: "permerror", reason: `${domain}: ${text}, but ${reason}` };
    }
    result satisfies never;
  }

  /** RFC 7208 §5.3. */
  async #hasAddress(name: string, prefix: PrefixLengths): Promise<boolean | Failure> {
    const answer = await this.#addresses(name);
    if (answer.kind === "temporary") return noAnswer(name);
    if (answer.kind === "none") return this.#noMatchVoid(name);
    return answer.records.some((address) => this.#isNear(address, prefix));
  }

  /** RFC 7208 §5.4, with the limit of §4.6.4. Hosts count in the order of the answer. */
  async #isMx(name: string, prefix: PrefixLengths): Promise<boolean | Failure> {
    const answer = await this.#dns.mx(name);
    if (answer.kind === "temporary") return noAnswer(name);
    if (answer.kind === "none") return this.#noMatchVoid(name);
    if (answer.records.length > MAX_MX_HOSTS) {
      return { result: "permerror", reason: `${name} has more than ${MAX_MX_HOSTS} MX records` };
    }
    const hosts = answer.records.map(({ host }) => host).filter(isQueryable);
    const found = await Promise.all(hosts.map((host) => this.#addresses(host)));
    let hasAddress = false;
    for (const [at, addresses] of found.entries()) {
      if (addresses.kind === "temporary") return noAnswer(hosts[at]!);
      if (addresses.kind !== "records") continue;
      hasAddress = true;
      if (addresses.records.some((address) => this.#isNear(address, prefix))) return true;
    }
    return hasAddress ? false : this.#noMatchVoid(name);
  }

  /** RFC 7208 §5.5: an error of the DNS is no match. */
  async #isNamed(name: string): Promise<boolean | Failure> {
    const { names, isVoid } = await this.#validatedNames();
    if (isVoid) return this.#noMatchVoid(name);
    return names.some((one) => isWithin(one, name));
  }

  /** RFC 7208 §5.7: A records, also for a client with IPv6. */
  async #exists(name: string): Promise<boolean | Failure> {
    const answer = await this.#dns.addresses(name, 4);
    if (answer.kind === "temporary") return noAnswer(name);
    return answer.kind === "records" ? true : this.#noMatchVoid(name);
  }

  #addresses(name: string): Promise<DnsAnswer<string>> {
    return this.#dns.addresses(name, this.#message.words.length === 2 ? 4 : 6);
  }

  #isNear(address: string, { ipv4, ipv6 }: PrefixLengths): boolean {
    const words = parseAddress(address);
    return words !== null && isInNetwork(this.#message.words, { words, bits: words.length === 2 ? ipv4 : ipv6 });
  }

  /** The names of the client that lead back to it (RFC 7208 §5.5), of the first ten; asked once. */
  #validatedNames(): Promise<{ readonly names: readonly string[]; readonly isVoid: boolean }> {
    return this.#validated ??= this.#validateNames();
  }

  async #validateNames(): Promise<{ readonly names: readonly string[]; readonly isVoid: boolean }> {
    const answer = await this.#dns.names(this.#message.values.c);
    if (answer.kind !== "records") return { names: [], isVoid: answer.kind === "none" };
    const names = answer.records.slice(0, MAX_PTR_NAMES)
      .map((name) => name.toLowerCase().replace(/\.$/, ""))
      .filter(isQueryable);
    const whole = { ipv4: 32, ipv6: 128 };
    const led = await Promise.all(names.map(async (name) => {
      const addresses = await this.#addresses(name);
      return addresses.kind === "records" && addresses.records.some((address) => this.#isNear(address, whole));
    }));
    return { names: names.filter((_, at) => led[at]), isVoid: false };
  }

  /** Values of all macros in a record of `domain`; of `p` where it is used. */
  async #values(parts: DomainSpec, domain: string): Promise<MacroValues> {
    return {
      ...this.#message.values,
      d: domain,
      p: usesValidatedName(parts) ? bestName((await this.#validatedNames()).names, domain) : "unknown",
    };
  }
}

/** RFC 7208 §7.3: the domain itself, else a name below it, else any. */
function bestName(names: readonly string[], domain: string): string {
  return names.find((name) => name === domain) ?? names.find((name) => isWithin(name, domain)) ?? names[0] ??
    "unknown";
}

/** Tells whether a name is `domain` or below it; both in lower case. */
function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}

const noAnswer = (name: string): Failure => ({ result: "temperror", reason: `No answer from the DNS for ${name}` });
