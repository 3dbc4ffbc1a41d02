/** A stub resolver: asks the name servers of resolv.conf(5), reads hosts(5), keeps answers for a while. Clock and transport are injected. */

import { BoundedMap } from "../bounded_map.ts";
import { debug, NO_OBSERVER, type Observer } from "../events/mod.ts";
import type { ResolverSettings } from "../protocol/mod.ts";
import {
  decodeResponse,
  encodeQuery,
  type MxRecord,
  parseMxRecord,
  type RecordType,
  type Response,
} from "./message.ts";
import { familyOf, normalAddress, normalName, reverseName } from "../net/mod.ts";
import { type Exchange, exchange, type Server } from "./transport.ts";
import { systemClock } from "../clock.ts";

/**
 * nxdomain: there is no such name. nodata: the name has no such record. temporary: the servers failed or did not answer. invalid: no name
 * that could be asked for.
 */
export type DnsFailure = "nxdomain" | "nodata" | "temporary" | "invalid";
export type DnsResult<T> = {
  readonly ok: true;
  readonly records: readonly T[];
  /** The name that they are of, where a CNAME led to another than was asked for. */
  readonly canonical?: string;
} | {
  readonly ok: false;
  readonly reason: DnsFailure;
  /** Of `temporary`: what became of the last question, as in `SERVFAIL from 192.0.2.53`. */
  readonly detail?: string;
};

/**
 * Name of an address. pass: the name leads back to the address; fail: it does not; error: there is no name; temporary: name servers failed, so
 * that it cannot be determined now (whether it leads back, or without a name, whether there is one).
 */
export interface ReverseResult {
  /** `<unknown>` for none. */
  readonly hostname: string;
  readonly confirmed: "pass" | "fail" | "error" | "temporary";
}

export interface ResolverOptions {
  readonly exchange?: Exchange;
  /** ms of a steady clock. */
  readonly now?: () => number;
  /** Gets the trace of which server was asked what. */
  readonly observer?: Observer;
  /**
   * Of questions that wait for their turn the newest is the next, and the oldest goes where there are too many: for those who wait so long only, and are
   * many. By default they have their turn in order.
   */
  readonly newestFirst?: boolean;
}

/** What a server said: a result, or the name to ask for next. */
type Found = DnsResult<string> | { readonly alias: string };

interface Cached {
  readonly until: number;
  readonly found: Found;
}

const MAX_CACHED_ANSWERS = 10_000;
const MAX_TTL_SECONDS = 3_600;
const MAX_ALIASES = 8;
/** Questions on their way at once; more wait. */
const MAX_RUNNING_QUESTIONS = 200;
/** Questions that wait; more fail as if the servers did not answer. */
const MAX_WAITING_QUESTIONS = 5_000;
const LOCALHOST = ["127.0.0.1", "::1"];

export class Resolver {
  #settings: ResolverSettings;
  readonly #exchange: Exchange;
  readonly #now: () => number;
  readonly #observer: Observer;
  readonly #cache = new BoundedMap<string, Cached>(MAX_CACHED_ANSWERS);
  readonly #asking = new Map<string, Promise<Found>>();
  readonly #hosts = new Map<string, string[]>();
  readonly #hostNames = new Map<string, string>();
  #running = 0;
  /** Called with false when the place is another's. The oldest stands first. */
  readonly #waiting = new Map<string, (granted: boolean) => void>();
  readonly #newestFirst: boolean;

  constructor(settings: ResolverSettings, options: ResolverOptions = {}) {
    this.#settings = settings;
    this.#exchange = options.exchange ?? exchange;
    this.#now = options.now ?? systemClock.steady;
    this.#observer = options.observer ?? NO_OBSERVER;
    this.#newestFirst = options.newestFirst ?? false;
    this.#readHosts();
  }

  /** Other files hold from now on: answers that are kept came from other servers, and are forgotten. */
  configure(settings: ResolverSettings): void {
    this.#settings = settings;
    this.#cache.clear();
    this.#asking.clear();
    this.#readHosts();
  }

  #readHosts(): void {
    this.#hosts.clear();
    this.#hostNames.clear();
    for (const { address, names } of this.#settings.hosts) this.#addHost(address, names);
  }

  #addHost(text: string, names: readonly string[]): void {
    const address = normalAddress(text);
    if (address === null) return;
    for (const [index, one] of names.entries()) {
      const name = normalName(one);
      if (name === null) continue;
      if (index === 0 && !this.#hostNames.has(address)) this.#hostNames.set(address, name);
      const known = this.#hosts.get(name);
      if (known === undefined) this.#hosts.set(name, [address]);
      else known.push(address);
    }
  }

  /** MX records by ascending preference, those of one preference in the order of the answer. A null MX has the exchange "". */
  async mx(domain: string): Promise<DnsResult<MxRecord>> {
    const result = await this.#lookup(domain, "MX");
    if (!result.ok) return result;
    return { ...result, records: result.records.map(parseMxRecord).sort((a, b) => a.preference - b.preference) };
  }

  /** IPv4 addresses, then IPv6 ones; only those of `family` when it is given. */
  async addresses(name: string, family: 4 | 6 | null = null): Promise<DnsResult<string>> {
    const normal = normalName(name);
    if (normal === null) return { ok: false, reason: "invalid" };
    const known = normal === "localhost" ? LOCALHOST : this.#hosts.get(normal);
    if (known !== undefined) {
      const records = known.filter((address) => family === null || familyOf(address) === family);
      return records.length > 0 ? { ok: true, records } : { ok: false, reason: "nodata" };
    }
    if (family !== null) return await this.#lookup(normal, family === 4 ? "A" : "AAAA");
    const [four, six] = await Promise.all([this.#lookup(normal, "A"), this.#lookup(normal, "AAAA")]);
    const records = [...four.ok ? four.records : [], ...six.ok ? six.records : []];
    const canonical = [four, six].find((result) => result.ok && result.canonical !== undefined);
    if (records.length > 0) return { ok: true, records, ...canonicalOf(canonical ?? {}) };
    // What failed may have had an address: say so before saying that there is none.
    return [four, six].find((result) => !result.ok && result.reason === "temporary") ?? four;
  }

  /** The TXT records of a name: of each its strings joined, one character per octet. `fresh`: what is kept is not good enough. */
  txt(name: string, { fresh }: { readonly fresh: boolean } = { fresh: false }): Promise<DnsResult<string>> {
    const normal = normalName(name);
    if (fresh && normal !== null) this.#cache.delete(keyOf(normal, "TXT"));
    return this.#lookup(name, "TXT");
  }

  /**
   * Records of a name that no host or mail domain has, but the DNS may: any printable ASCII in labels of 63 octets, as the macros of SPF make
   * them of addresses (RFC 7208 §7). Never of hosts(5).
   */
  async recordsOf(text: string, type: "A" | "AAAA" | "CAA" | "TLSA" | "TXT"): Promise<DnsResult<string>> {
    const name = text.toLowerCase();
    const sound = name.length <= 253 && /^[\x20-\x2d\x2f-\x7e]{1,63}(?:\.[\x20-\x2d\x2f-\x7e]{1,63})*$/.test(name);
    return sound ? await this.#follow(name, type) : { ok: false, reason: "invalid" };
  }

  /** All names of an address, unconfirmed. */
  async names(text: string): Promise<DnsResult<string>> {
    const name = reverseName(text);
    return name === null ? { ok: false, reason: "invalid" } : await this.#lookup(name, "PTR");
  }

  /** The first name that the address has, and whether it leads back (forward-confirmed reverse DNS). */
  async reverse(text: string): Promise<ReverseResult> {
    const address = normalAddress(text);
    if (address === null) return { hostname: "<unknown>", confirmed: "error" };
    const own = this.#hostNames.get(address) ?? (LOCALHOST.includes(address) ? "localhost" : undefined);
    const found: DnsResult<string> = own === undefined
      ? await this.#lookup(reverseName(address)!, "PTR")
      : { ok: true, records: [own] };
    if (!found.ok) {
      return { hostname: "<unknown>", confirmed: found.reason === "temporary" ? "temporary" : "error" };
    }
    // Whoever owns the address writes the PTR: only what is a name goes on into rules and logs.
    const hostname = normalName(found.records[0]!);
    if (hostname === null) return { hostname: "<unknown>", confirmed: "error" };
    const forward = await this.addresses(hostname, familyOf(address));
    if (!forward.ok && forward.reason === "temporary") return { hostname, confirmed: "temporary" };
    const leadsBack = forward.ok && forward.records.some((one) => normalAddress(one) === address);
    return { hostname, confirmed: leadsBack ? "pass" : "fail" };
  }

  #lookup(text: string, type: RecordType): Promise<DnsResult<string>> {
    return this.#follow(normalName(text), type);
  }

  async #follow(first: string | null, type: RecordType): Promise<DnsResult<string>> {
    let name = first;
    for (let hops = 0; hops < MAX_ALIASES; hops++) {
      if (name === null) return { ok: false, reason: "invalid" };
      const found = await this.#cached(name, type);
      if (!("alias" in found)) {
        return found.ok && hops > 0 && found.canonical === undefined ? { ...found, canonical: name } : found;
      }
      name = normalName(found.alias);
    }
    return { ok: false, reason: "temporary", detail: "too many aliases" };
  }

  #cached(name: string, type: RecordType): Promise<Found> {
    const key = keyOf(name, type);
    const kept = this.#cache.get(key);
    if (kept !== undefined && kept.until > this.#now()) return Promise.resolve(kept.found);
    let asking = this.#asking.get(key);
    if (asking === undefined) {
      asking = this.#limited(key, () => this.#ask(name, type, key)).finally(() => {
        if (this.#asking.get(key) === asking) this.#asking.delete(key);
      });
      this.#asking.set(key, asking);
    } else if (this.#newestFirst) this.#renew(key);
    return asking;
  }

  async #limited(key: string, act: () => Promise<Found>): Promise<Found> {
    if (this.#running < MAX_RUNNING_QUESTIONS) this.#running++;
    else if (!await this.#place(key)) {
      return { ok: false, reason: "temporary", detail: "too many questions wait" };
    }
    try {
      return await act();
    } finally {
      const [next] = this.#newestFirst ? [...this.#waiting.keys()].slice(-1) : this.#waiting.keys();
      // The place goes over to it.
      if (next === undefined) this.#running--;
      else this.#settle(next, { granted: true });
    }
  }

  /** Waits for a place among the questions on their way. False: it gets none. */
  #place(key: string): Promise<boolean> {
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size >= MAX_WAITING_QUESTIONS) {
      if (!this.#newestFirst) return Promise.resolve(false);
      this.#settle(oldest!, { granted: false });
    }
    return new Promise((resolve) => {
      // The same question may wait from before other files held.
      let own = key;
      while (this.#waiting.has(own)) own += " ";
      this.#waiting.set(own, resolve);
    });
  }

  #settle(key: string, { granted }: { readonly granted: boolean }): void {
    const resolve = this.#waiting.get(key)!;
    this.#waiting.delete(key);
    resolve(granted);
  }

  /** Somebody else asks the same: it counts as asked now. */
  #renew(key: string): void {
    const resolve = this.#waiting.get(key);
    if (resolve === undefined) return;
    this.#waiting.delete(key);
    this.#waiting.set(key, resolve);
  }

  async #ask(name: string, type: RecordType, key: string): Promise<Found> {
    const settings = this.#settings;
    let detail = "no name server is known";
    for (let attempt = 0; attempt < settings.attempts; attempt++) {
      for (const server of settings.servers) {
        // Some that do not know EDNS, or stand behind a firewall that does not, are silent instead of answering FORMERR.
        const response = await this.#askServer(server, { name, type, edns: attempt === 0 });
        if (this.#observer.verbose) {
          const answer = response === null ? "no answer" : `${response.code}, ${response.records.length} records`;
          debug(this.#observer, `dns: ${type} ${name} from ${server.address} port ${server.port}: ${answer}`);
        }
        detail = `${response === null ? "no answer" : response.rcode} from ${server.address}`;
        if (response === null || (response.code !== "ok" && response.code !== "nxdomain")) continue;
        // An answer of a server that is no longer ours goes to its caller, and is not cached.
        return this.#keep(key, resultOf(response), settings === this.#settings ? response.ttl : 0);
      }
    }
    // No error says that there is no such record: RFC 5321 §5.1 has mail go to the domain's address for an empty list alone.
    return { ok: false, reason: "temporary", detail };
  }

  async #askServer(
    server: Server,
    { name, type, edns }: { readonly name: string; readonly type: RecordType; readonly edns: boolean },
  ): Promise<Response | null> {
    const { timeoutMs } = this.#settings;
    const ask = (over: "udp" | "tcp", { edns }: { readonly edns: boolean }) => {
      const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
      const query = encodeQuery({ id, name, type, edns });
      return this.#exchange(over, server, query, timeoutMs, (bytes) => decodeResponse(bytes, id, name, type));
    };
    const first = await ask("udp", { edns });
    // RFC 6891 §6.1.3 and §7: a server that does not know EDNS, or not ours, answers BADVERS, FORMERR or NOTIMP, and is asked without it.
    const second = edns && first?.code === "badquery" ? await ask("udp", { edns: false }) : first;
    if (!second?.truncated) return second;
    const whole = await ask("tcp", { edns: false });
    // What is cut even there does not say that there is no more.
    const empty = whole?.truncated && whole.code === "ok" && whole.records.length === 0;
    return whole !== null && empty ? { ...whole, code: "failed", rcode: "truncated answer" } : whole;
  }

  #keep(key: string, found: Found, ttl: number): Found {
    if (ttl <= 0) return found;
    this.#cache.set(key, { until: this.#now() + Math.min(ttl, MAX_TTL_SECONDS) * 1000, found });
    return found;
  }
}

function keyOf(name: string, type: RecordType): string {
  return `${type} ${name}`;
}

function canonicalOf(found: { readonly canonical?: string } | DnsResult<string>): { readonly canonical?: string } {
  return "canonical" in found && found.canonical !== undefined ? { canonical: found.canonical } : {};
}

function resultOf(response: Response): Found {
  if (response.records.length > 0) return { ok: true, records: response.records, ...canonicalOf(response) };
  if (response.code === "nxdomain") return { ok: false, reason: "nxdomain" };
  if (response.alias !== null) return { alias: response.alias };
  return { ok: false, reason: "nodata" };
}
