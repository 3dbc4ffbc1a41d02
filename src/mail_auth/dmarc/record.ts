/** DMARC policy records, RFC 9989 §4.7 and §4.8, and what RFC 7489 had in them before. Reads one record; where it stands is for tree_walk.ts. */

export type DmarcPolicy = "none" | "quarantine" | "reject";

export interface DmarcRecord {
  /** Where it stands, without `_dmarc`. */
  readonly domain: string;
  readonly p: DmarcPolicy;
  /** For subdomains that exist; null for the same as `p`. */
  readonly sp: DmarcPolicy | null;
  /** For subdomains that do not exist; null for the same as `sp`. */
  readonly np: DmarcPolicy | null;
  /** Relaxed or strict. */
  readonly adkim: "r" | "s";
  readonly aspf: "r" | "s";
  /** Whether the domain is a public suffix; `u` for not said. */
  readonly psd: "y" | "n" | "u";
  /** `t=y`: the policy counts one step less. */
  readonly testing: boolean;
  /** Where aggregate and failure reports go: URIs as written, perhaps with the size of RFC 7489 behind a `!`. */
  readonly rua: readonly string[];
  readonly ruf: readonly string[];
  /** When failure reports are wanted, as written; null for the default, `0`. */
  readonly fo: string | null;
}

export interface ParsedDmarc {
  readonly record: DmarcRecord;
  /** Why the policy cannot be applied; null when it can (RFC 9989 §4.10.1). */
  readonly problem: string | null;
}

/** A record may name as many addresses as fit; more than these are not used. */
const MAX_REPORT_URIS = 20;
const MAX_TAGS = 100;

const POLICIES: readonly string[] = ["none", "quarantine", "reject"] satisfies readonly DmarcPolicy[];

/**
 * Takes a TXT record of `_dmarc.<domain>`, one character per octet, and returns what it says; null for one that is no DMARC record, which does
 * not begin with exactly `v=DMARC1`. Tags that are unknown (`pct`, `rf` and `ri` of RFC 7489 among them) or malformed are as if they were not
 * there; of one that comes twice the first counts.
 */
export function parseDmarcRecord(text: string, domain: string): ParsedDmarc | null {
  const [version = "", ...rest] = text.split(";", MAX_TAGS);
  if (!/^v[ \t]*=[ \t]*DMARC1[ \t]*$/i.test(version) || !version.includes("DMARC1")) return null;
  const tags = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf("="), name = part.slice(0, Math.max(equals, 0)).trim().toLowerCase();
    const value = part.slice(equals + 1).trim();
    if (!/^[a-z]+$/.test(name) || !/^[\x20-\x7e]+$/.test(value) || tags.has(name)) continue;
    tags.set(name, value);
  }
  const word = (name: string, allowed: readonly string[]) => {
    const value = tags.get(name)?.toLowerCase();
    return value !== undefined && allowed.includes(value) ? value : null;
  };
  const policy = (name: string) => word(name, POLICIES) as DmarcPolicy | null;
  const rua = reportUris(tags.get("rua")), ruf = reportUris(tags.get("ruf"));
  // RFC 9989 §4.10.1: without a valid p, or with an invalid sp or np, the record asks for reports at most.
  const wrong = policy("p") === null
    ? "p"
    : (["sp", "np"] as const).find((name) => tags.has(name) && policy(name) === null);
  const asksForReports = wrong !== undefined;
  return {
    record: {
      domain,
      p: asksForReports ? "none" : policy("p")!,
      sp: asksForReports ? null : policy("sp"),
      np: asksForReports ? null : policy("np"),
      adkim: word("adkim", ["r", "s"]) === "s" ? "s" : "r",
      aspf: word("aspf", ["r", "s"]) === "s" ? "s" : "r",
      psd: (word("psd", ["y", "n", "u"]) ?? "u") as "y" | "n" | "u",
      testing: word("t", ["y", "n"]) === "y",
      rua,
      ruf,
      fo: failureOptions(tags.get("fo")),
    },
    problem: asksForReports && rua.length === 0
      ? `DMARC record of ${domain}: ${tags.has(wrong) ? `${wrong} is not none, quarantine or reject` : `no ${wrong}`}`
      : null,
  };
}

/** The valid URIs of a list (RFC 3986 §3). What follows a `!` was a limit in RFC 7489. */
function reportUris(list: string | undefined): readonly string[] {
  if (list === undefined) return [];
  return list.split(",")
    .map((uri) => uri.trim())
    .filter((uri) => /^[a-z][a-z0-9+.-]*:[a-z0-9._~:/?#[\]@$&'()*+;=%-]+(?:!\d{1,19}[kmgt]?)?$/i.test(uri))
    .filter((uri) => !/^mailto:/i.test(uri) || uri.includes("@"))
    .slice(0, MAX_REPORT_URIS);
}

/** RFC 9989 §4.7: at most one of 0 and 1, with `d` and `s`, each once. */
function failureOptions(text: string | undefined): string | null {
  const options = text?.toLowerCase().split(":").map((option) => option.trim()) ?? [];
  const valid = options.length > 0 &&
    options.every((option, at) => ["0", "1", "d", "s"].includes(option) && options.indexOf(option) === at) &&
    !(options.includes("0") && options.includes("1"));
  return valid ? options.join(":") : null;
}
