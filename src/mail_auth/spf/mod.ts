/** SPF, RFC 7208: may this client send for this domain? Front door of the folder. */

import { asciiDomain } from "../../envelope/mod.ts";
import { type AddressWords, formatAddress, isAddress, normalName, parseAddress } from "../../net/mod.ts";
import type { Dns } from "../dns.ts";
import { SpfEvaluation, type SpfResult } from "./evaluation.ts";

export type { SpfResult } from "./evaluation.ts";

export interface SpfQuery {
  /** Address of the client, as text. */
  readonly client: string;
  /** What it said in HELO or EHLO. */
  readonly helo: string;
  /** The reverse-path without its brackets; "" for the null one. */
  readonly sender: string;
  /** Our own name, which an explanation may tell. */
  readonly receiver: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface SpfVerdict {
  readonly result: SpfResult;
  /** Whose domain was checked: the sender's, or for the null reverse-path that of HELO (RFC 7208 §2.4). */
  readonly identity: "mailfrom" | "helo";
  /** The domain in lower case, as A-labels; as the client wrote it where no domain can be called so. */
  readonly domain: string;
  /** The term of the record that matched, as written; `default` when none did; null when there was no record, or an error. */
  readonly mechanism: string | null;
  /** What the domain has to say to a client that it refuses: a stranger's text, printable ASCII, at most 400 characters. */
  readonly explanation: string | null;
  /** Why there is no result, for the log. */
  readonly reason: string | null;
}

/** What is kept of a domain that is none. */
const MAX_DOMAIN_CHARACTERS = 255;

/**
 * Checks a sender, or with the null reverse-path the name in HELO, as RFC 7208 §4 has it. Takes any text; never rejects. Asks the DNS at most
 * 123 questions; the caller bounds the time.
 */
export async function checkSpf(query: SpfQuery, dns: Dns): Promise<SpfVerdict> {
  const at = query.sender.lastIndexOf("@");
  const identity = query.sender === "" ? "helo" : "mailfrom";
  const written = identity === "helo" ? query.helo : query.sender.slice(at + 1);
  const local = query.sender.slice(0, Math.max(at, 0));
  const domain = mailDomain(written);
  const words = parseAddress(query.client.replace(/%.*$/s, ""));
  if (domain === null || words === null) {
    const reason = words === null ? "The client has no address" : "Not a domain of the DNS";
    const shown = domain ?? written.slice(0, MAX_DOMAIN_CHARACTERS);
    return { result: "none", identity, domain: shown, mechanism: null, explanation: null, reason };
  }
  // RFC 7208 §4.3: the local-part where there is none.
  const values = messageValues({ query, words, local: local === "" ? "postmaster" : local, domain });
  const evaluation = new SpfEvaluation({ words, values }, dns);
  const { result, mechanism, reason, explanation } = await evaluation.check(domain);
  const text = explanation === null ? null : await evaluation.explain(explanation);
  return { result, identity, domain, mechanism, explanation: text, reason };
}

/** RFC 7208 §4.3: a name with two labels at least, no address. */
function mailDomain(text: string): string | null {
  const name = normalName(text);
  return name === null || !name.includes(".") || isAddress(name) ? null : name;
}

function messageValues(
  { query, words, local, domain }: {
    readonly query: SpfQuery;
    readonly words: AddressWords;
    readonly local: string;
    readonly domain: string;
  },
) {
  const address = formatAddress(words);
  return {
    s: `${local}@${domain}`,
    l: local,
    o: domain,
    // RFC 7208 §7.3: for IPv6 the nibbles, which the suite of test cases has as capitals.
    i: words.length === 2
      ? address
      : words.flatMap((word) => [...word.toString(16).padStart(4, "0").toUpperCase()]).join("."),
    v: words.length === 2 ? "in-addr" : "ip6",
    h: asciiDomain(query.helo) ?? query.helo,
    c: address,
    r: query.receiver === "" ? "unknown" : query.receiver,
    t: String(Math.floor(query.now / 1000)),
  };
}
