/** The interface of mail authentication over questions by kind, which answer as text. */

import type { Dns, DnsAnswer } from "../../mail_auth/dns.ts";
import type { AskedKind } from "../../protocol/mod.ts";

/** Asks by `records`, which never rejects. */
export function dnsOf(records: (kind: AskedKind, name: string) => Promise<DnsAnswer<string>>): Dns {
  return {
    txt: (name) => records("txt", name),
    addresses: (name, family) => records(family === 4 ? "a" : "aaaa", name),
    names: (address) => records("ptr", address),
    mx: async (name) => {
      const answer = await records("mx", name);
      if (answer.kind !== "records") return answer;
      return {
        kind: "records",
        records: answer.records.map((text) => {
          const space = text.indexOf(" ");
          return { preference: Number(text.slice(0, space)), host: text.slice(space + 1) };
        }),
      };
    },
  };
}
