/** A DNS for tests of mail authentication: a table of zones, in the form that the test suite of RFC 7208 has. */

import type { Dns, DnsAnswer, DnsMx } from "../../src/mail_auth/dns.ts";
import { reverseName } from "../../src/net/mod.ts";

type FixtureType = "A" | "AAAA" | "MX" | "PTR" | "TXT" | "SPF" | "CNAME";
type FixtureData = string | readonly string[] | readonly [number, string];

/**
 * One entry of a name: a record, such as `{ TXT: "v=spf1 -all" }`, `{ TXT: ["v=spf1 ", "-all"] }` (strings that are joined),
 * `{ MX: [10, "mail.example.org"] }`; or `TIMEOUT`: no answer for types of which the name has no record.
 */
export type FixtureEntry = "TIMEOUT" | Readonly<Partial<Record<FixtureType, FixtureData>>>;

/** By name. `SPF` stands for TXT where the name has no TXT; `TXT: NONE` is no record, and says that SPF stands for nothing. */
export type FixtureZones = Readonly<Record<string, readonly FixtureEntry[]>>;

const MAX_ALIASES = 8;

const key = (name: string) => name.toLowerCase().replace(/\.$/, "");

/** Answers from the table, in the order of the table, and keeps what was asked. */
export class FixtureDns implements Dns {
  /** One line per question: `TXT example.org`, in lower case. */
  readonly questions: string[] = [];
  readonly #zones = new Map<string, readonly FixtureEntry[]>();
  /** Names below which the table has one: they exist. */
  readonly #parents = new Set<string>();

  constructor(zones: FixtureZones) {
    for (const [name, entries] of Object.entries(zones)) {
      this.#zones.set(key(name), entries);
      for (let rest = key(name); rest.includes(".");) this.#parents.add(rest = rest.slice(rest.indexOf(".") + 1));
    }
  }

  txt(name: string): Promise<DnsAnswer<string>> {
    return this.#answer("TXT", name, (data) => Array.isArray(data) ? data.join("") : `${data}`);
  }

  addresses(name: string, family: 4 | 6): Promise<DnsAnswer<string>> {
    return this.#answer(family === 4 ? "A" : "AAAA", name, (data) => `${data}`);
  }

  mx(name: string): Promise<DnsAnswer<DnsMx>> {
    return this.#answer("MX", name, (data) => ({ preference: Number(data[0]), host: key(`${data[1]}`) }));
  }

  names(address: string): Promise<DnsAnswer<string>> {
    return this.#answer("PTR", reverseName(address) ?? "", (data) => `${data}`.replace(/\.$/, ""));
  }

  #answer<T>(type: FixtureType, name: string, read: (data: FixtureData) => T): Promise<DnsAnswer<T>> {
    this.questions.push(`${type} ${key(name)}`);
    return Promise.resolve(this.#find(type, name, read));
  }

  #find<T>(type: FixtureType, name: string, read: (data: FixtureData) => T): DnsAnswer<T> {
    let owner = key(name);
    for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
      const entries = this.#zones.get(owner);
      if (entries === undefined) return { kind: "none", exists: this.#parents.has(owner) };
      const of = (wanted: FixtureType) =>
        entries.flatMap((entry) => entry !== "TIMEOUT" && entry[wanted] !== undefined ? [entry[wanted]] : []);
      const found = of(type), data = type === "TXT" && found.length === 0 ? of("SPF") : found;
      const records = data.filter((one) => type !== "TXT" || one !== "NONE").map(read);
      if (records.length > 0) return { kind: "records", records };
      const [alias] = of("CNAME");
      if (alias === undefined) {
        return entries.includes("TIMEOUT") ? { kind: "temporary" } : { kind: "none", exists: true };
      }
      owner = key(`${alias}`);
    }
    // A circle of aliases.
    return { kind: "temporary" };
  }
}
