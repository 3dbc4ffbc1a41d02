/** The resolver as mail authentication asks it: answers of bounded size, and every failure a value. */

import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import type { AskedKind } from "../protocol/mod.ts";
import { normalName } from "../net/mod.ts";
import type { DnsResult, Resolver } from "./resolver.ts";

/** Records of one answer at most: those of the DNS have no more, hosts(5) may. */
const MAX_ANSWER_RECORDS = 64;

/**
 * Returns what asks `resolver`. Never rejects; a name that cannot be asked for does not exist. `fresh`: TXT records that are remembered are not
 * good enough.
 */
export function mailAuthDns(
  resolver: Resolver,
  { fresh }: { readonly fresh: boolean } = { fresh: false },
): Dns {
  const text = (asked: Promise<DnsResult<string>>) => answerOf(asked, (record) => record);
  return {
    txt: (name) => text(normalName(name) === null ? resolver.recordsOf(name, "TXT") : resolver.txt(name, { fresh })),
    addresses: (name, family) =>
      text(
        normalName(name) === null
          ? resolver.recordsOf(name, family === 4 ? "A" : "AAAA")
          : resolver.addresses(name, family),
      ),
    mx: (name) => answerOf(resolver.mx(name), ({ preference, exchange }) => ({ preference, host: exchange })),
    names: (address) => text(resolver.names(address)),
  };
}

/**
 * Returns what asks `resolver` for records of one type, which are answered as text; for PTR records the name is an address. Never rejects, and asks anew
 * for TXT records that are remembered.
 */
export function recordAsker(resolver: Resolver): (kind: AskedKind, name: string) => Promise<DnsAnswer<string>> {
  const dns = mailAuthDns(resolver, { fresh: true });
  return async (kind, name) => {
    switch (kind) {
      case "txt":
        return await dns.txt(name);
      case "a":
      case "aaaa":
        return await dns.addresses(name, kind === "a" ? 4 : 6);
      case "ptr":
        return await dns.names(name);
      case "mx":
        return await answerOf(resolver.mx(name), ({ preference, exchange }) => `${preference} ${exchange}`);
      case "tlsa":
      case "caa":
        return await answerOf(resolver.recordsOf(name, kind === "tlsa" ? "TLSA" : "CAA"), (record) => record);
    }
  };
}

async function answerOf<From, To>(
  asked: Promise<DnsResult<From>>,
  convert: (record: From) => To,
): Promise<DnsAnswer<To>> {
  let result: DnsResult<From>;
  try {
    result = await asked;
  } catch {
    return { kind: "temporary" };
  }
  if (!result.ok) {
    return result.reason === "temporary" ? { kind: "temporary" } : { kind: "none", exists: result.reason === "nodata" };
  }
  return { kind: "records", records: result.records.slice(0, MAX_ANSWER_RECORDS).map(convert) };
}
