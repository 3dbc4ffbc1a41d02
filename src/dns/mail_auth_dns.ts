/** The resolver as mail authentication asks it: answers of bounded size, and every failure a value. */

import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import { normalName } from "../net/mod.ts";
import type { DnsResult, Resolver } from "./resolver.ts";

/** Records and characters of one answer at most; what is beyond them is left out. */
export const MAX_ANSWER_RECORDS = 64, MAX_ANSWER_CHARS = 64 * 1024;

/**
 * Returns what asks `resolver`. Never rejects; a name that cannot be asked for does not exist. `fresh`: TXT records that are remembered are not
 * good enough.
 */
export function mailAuthDns(
  resolver: Resolver,
  { fresh }: { readonly fresh: boolean } = { fresh: false },
): Dns {
  const text = (asked: Promise<DnsResult<string>>) => answerOf(asked, (record) => record, ({ length }) => length);
  return {
    txt: (name) => text(normalName(name) === null ? resolver.recordsOf(name, "TXT") : resolver.txt(name, { fresh })),
    addresses: (name, family) =>
      text(
        normalName(name) === null
          ? resolver.recordsOf(name, family === 4 ? "A" : "AAAA")
          : resolver.addresses(name, family),
      ),
    mx: (name) =>
      answerOf(
        resolver.mx(name),
        ({ preference, exchange }) => ({ preference, host: exchange }),
        ({ host }) => host.length,
      ),
    names: (address) => text(resolver.names(address)),
  };
}

async function answerOf<From, To>(
  asked: Promise<DnsResult<From>>,
  convert: (record: From) => To,
  sizeOf: (record: To) => number,
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
  const records: To[] = [];
  let chars = 0;
  for (const record of result.records.slice(0, MAX_ANSWER_RECORDS)) {
    const converted = convert(record);
    chars += sizeOf(converted);
    if (chars > MAX_ANSWER_CHARS) break;
    records.push(converted);
  }
  return records.length > 0 ? { kind: "records", records } : { kind: "temporary" };
}
