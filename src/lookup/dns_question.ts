/** What sessions that check mail ask of the DNS, as the resolver is asked it. */

import type { Dns, DnsAnswer } from "../mail_auth/dns.ts";
import type { DnsKind } from "../protocol/mod.ts";

/** Asks for records of one type, which are answered as text: an MX record as its preference and its host. Never rejects. */
export async function askDns(dns: Dns, kind: DnsKind, name: string): Promise<DnsAnswer<string>> {
  switch (kind) {
    case "txt":
      return await dns.txt(name);
    case "a":
    case "aaaa":
      return await dns.addresses(name, kind === "a" ? 4 : 6);
    case "ptr":
      return await dns.names(name);
    case "mx": {
      const answer = await dns.mx(name);
      if (answer.kind !== "records") return answer;
      return { kind: "records", records: answer.records.map(({ preference, host }) => `${preference} ${host}`) };
    }
  }
}
