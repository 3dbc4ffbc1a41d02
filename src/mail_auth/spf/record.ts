/** The syntax of SPF records, RFC 7208 §4.5, §4.6 and §12. A record is read whole before a part of it counts: an error anywhere is an error. */

import { type AddressWords, parseIpv4, parseIpv6 } from "../../net/mod.ts";
import { type DomainSpec, parseDomainSpec, parseMacroString } from "./macros.ts";

/** How many bits of an address must agree. */
export interface PrefixLengths {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** `spec` is null where the domain of the record itself is meant. */
export type Mechanism =
  | { readonly kind: "all" }
  | { readonly kind: "include" | "exists"; readonly spec: DomainSpec }
  | { readonly kind: "a" | "mx"; readonly spec: DomainSpec | null; readonly prefix: PrefixLengths }
  | { readonly kind: "ptr"; readonly spec: DomainSpec | null }
  | { readonly kind: "ip"; readonly words: AddressWords; readonly bits: number };

/** What a mechanism says when it matches (RFC 7208 §4.6.2). */
export type Qualified = "pass" | "fail" | "softfail" | "neutral";

export interface Directive {
  readonly result: Qualified;
  readonly mechanism: Mechanism;
  /** As it is written, cut where it is long. */
  readonly text: string;
}

export interface SpfRecord {
  readonly directives: readonly Directive[];
  readonly redirect: DomainSpec | null;
  readonly explanation: DomainSpec | null;
}

export type ParsedSpf =
  | { readonly kind: "record"; readonly record: SpfRecord }
  | { readonly kind: "error"; readonly reason: string };

const QUALIFIERS: Readonly<Record<string, Qualified>> = { "+": "pass", "-": "fail", "~": "softfail", "?": "neutral" };
const MAX_SHOWN_CHARACTERS = 64;
/** RFC 7208 §3.4 wants less than 512. What is longer than this is there to cost time. */
const MAX_RECORD_OCTETS = 8192;

/** Tells whether a TXT record is an SPF record, whatever follows its version (RFC 7208 §4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** Takes an SPF record, one character per octet, and returns what it says, or what is wrong with it. */
export function parseSpfRecord(text: string): ParsedSpf {
  if (text.length > MAX_RECORD_OCTETS) return { kind: "error", reason: `More than ${MAX_RECORD_OCTETS} octets` };
  const directives: Directive[] = [];
  const modifiers: Record<"redirect" | "exp", DomainSpec | null> = { redirect: null, exp: null };
  for (const term of text.slice("v=spf1".length).split(" ")) {
    if (term === "") continue;
    const [, name, value] = /^([a-z][a-z0-9._-]*)=([^]*)$/i.exec(term) ?? [];
    if (name !== undefined && value !== undefined) {
      const problem = readModifier(name.toLowerCase(), value, modifiers);
      if (problem !== null) return { kind: "error", reason: `${problem} in ${quote(term)}` };
      continue;
    }
    const mechanism = parseMechanism(term.replace(/^[-+~?]/, ""));
    if (typeof mechanism === "string") return { kind: "error", reason: `${mechanism} in ${quote(term)}` };
    directives.push({ result: QUALIFIERS[term[0]!] ?? "pass", mechanism, text: shown(term) });
  }
  return { kind: "record", record: { directives, redirect: modifiers.redirect, explanation: modifiers.exp } };
}

/** Puts the modifier where it belongs, and returns what is wrong with it. One of another name needs the syntax of a macro-string alone. */
function readModifier(
  name: string,
  value: string,
  modifiers: Record<"redirect" | "exp", DomainSpec | null>,
): string | null {
  if (name !== "redirect" && name !== "exp") {
    return parseMacroString(value, { spaces: false }) === null ? "Bad macro" : null;
  }
  // RFC 7208 §6: each at most once.
  if (modifiers[name] !== null) return `A second ${name}`;
  modifiers[name] = parseDomainSpec(value);
  return modifiers[name] === null ? "Bad domain" : null;
}

/** Takes a mechanism without its qualifier, and returns it or what is wrong with it. */
function parseMechanism(text: string): Mechanism | string {
  const [, word = "", rest = ""] = /^([a-z0-9]*)([^]*)$/i.exec(text) ?? [];
  const kind = word.toLowerCase();
  const argument = rest.startsWith(":") ? rest.slice(1) : null;
  switch (kind) {
    case "all":
      return rest === "" ? { kind } : "An argument";
    case "include":
    case "exists": {
      const spec = argument === null ? null : parseDomainSpec(argument);
      return spec === null ? "No domain, or a bad one" : { kind, spec };
    }
    case "ptr": {
      if (rest === "") return { kind, spec: null };
      const spec = argument === null ? null : parseDomainSpec(argument);
      return spec === null ? "Bad domain" : { kind, spec };
    }
    case "a":
    case "mx":
      return parseHosts(kind, rest);
    case "ip4":
    case "ip6":
      return argument === null ? "No address" : parseAddresses(kind, argument);
  }
  return "Unknown mechanism";
}

/** `[":" domain-spec] [dual-cidr-length]`. A domain-spec may have slashes, so lengths are what stands at the end. */
function parseHosts(kind: "a" | "mx", rest: string): Mechanism | string {
  const [whole, ipv4, ipv6] = /(?:\/(\d{1,4}))?(?:\/\/(\d{1,4}))?$/.exec(rest)!;
  const prefix = { ipv4: prefixLength(ipv4, 32), ipv6: prefixLength(ipv6, 128) };
  if (prefix.ipv4 === null || prefix.ipv6 === null) return "Bad prefix length";
  const lengths = { ipv4: prefix.ipv4, ipv6: prefix.ipv6 };
  const domain = rest.slice(0, rest.length - whole.length);
  if (domain === "") return { kind, spec: null, prefix: lengths };
  const spec = domain.startsWith(":") ? parseDomainSpec(domain.slice(1)) : null;
  if (spec !== null) return { kind, spec, prefix: lengths };
  return parseIpv4(domain.slice(1)) === null ? "Bad domain" : "An address instead of a domain (ip4 takes addresses)";
}

function parseAddresses(kind: "ip4" | "ip6", text: string): Mechanism | string {
  const slash = text.indexOf("/"), max = kind === "ip4" ? 32 : 128;
  const address = slash < 0 ? text : text.slice(0, slash);
  const words = kind === "ip4" ? parseIpv4(address) : parseIpv6(address);
  if (words === null) return "Bad address";
  const bits = slash < 0 ? max : prefixLength(text.slice(slash + 1), max);
  return bits === null ? "Bad prefix length" : { kind: "ip", words, bits };
}

/** RFC 7208 §12: `"0" / %x31-39 0*2DIGIT`, so no leading zeros; all bits where none is written. */
function prefixLength(text: string | undefined, max: 32 | 128): number | null {
  if (text === undefined) return max;
  return /^(?:0|[1-9]\d{0,2})$/.test(text) && Number(text) <= max ? Number(text) : null;
}

const shown = (text: string) => text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}...` : text;

/** For messages: what is not printable ASCII comes as question marks. */
const quote = (text: string) => `"${shown(text.replace(/[^\x21-\x7e]/g, "?"))}"`;
