/**
 * The rate limit and the session limit of each client address: a client that has or makes too many connections is refused. Asks no other isolate and closes nothing; bounded. Main
 * counts for all smtp isolates, which report to it the clients whose address is in a PROXY header.
 */

import { NetworkMatcher, parseAddress } from "../net/mod.ts";

/** What one source may do; 0 is no limit. A source is an IPv4 address or an IPv6 network of 64 bits: a client has as many as that. */
export interface SourceLimits {
  readonly maxSessionsPerSource: number;
  readonly maxConnectionsPerMinute: number;
  /** Networks that no limit holds for, as in a table of networks. This machine is always among them. */
  readonly trusted: readonly string[];
}

export type Admission =
  /** `source` is to be given to `left` at the end of the session; null for a client that is not counted. */
  | { readonly ok: true; readonly source: string | null }
  /** `news`: a line for the log, null when one about this source was written lately. */
  | { readonly ok: false; readonly news: string | null };

interface Source {
  sessions: number;
  /** Connections since `since`, ms since the epoch. */
  recent: number;
  since: number;
  /** Connections that were refused and not logged, and when the last line was written. */
  silent: number;
  loggedAt: number;
}

const MINUTE_MS = 60_000;
/** Sources without a session that are remembered; the one that came first is forgotten for a new one. */
const MAX_IDLE_SOURCES = 16_384;

const LOOPBACK = ["127.0.0.0/8", "::1"];

/** Networks that are asked about again and again. */
export function trustedNetworks(entries: readonly string[]): { matches(address: string): boolean } {
  const networks = new NetworkMatcher();
  for (const entry of [...LOOPBACK, ...entries]) networks.add(entry.toLowerCase());
  return networks;
}

export class Sources {
  #limits: SourceLimits;
  readonly #now: () => number;
  #trusted: { matches(address: string): boolean };
  readonly #known = new Map<string, Source>();
  /** How many of them have a session. */
  #busy = 0;

  constructor(limits: SourceLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#trusted = trustedNetworks(limits.trusted);
  }

  /** Other limits hold for those who connect from now on. */
  configure(limits: SourceLimits): void {
    this.#limits = limits;
    this.#trusted = trustedNetworks(limits.trusted);
  }

  /** Sources that are remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** True for a client that no limit holds for. */
  trusts(address: string): boolean {
    return this.#trusted.matches(address);
  }

  /** A client connects. `address`: IPv4 or IPv6, bare or in brackets. */
  enter(address: string): Admission {
    const { maxSessionsPerSource, maxConnectionsPerMinute } = this.#limits;
    if (maxSessionsPerSource === 0 && maxConnectionsPerMinute === 0) return { ok: true, source: null };
    if (this.#trusted.matches(address)) return { ok: true, source: null };
    const key = sourceOf(address);
    const now = this.#now();
    const source = this.#known.get(key) ?? this.#newcomer(key, now);
    if (now - source.since >= MINUTE_MS || now < source.since) {
      source.since = now;
      source.recent = 0;
    }
    source.recent++;
    if (maxConnectionsPerMinute > 0 && source.recent > maxConnectionsPerMinute) {
      return this.#refuse(key, source, `more than ${maxConnectionsPerMinute} connections in a minute`);
    }
    if (maxSessionsPerSource > 0 && source.sessions >= maxSessionsPerSource) {
      return this.#refuse(key, source, `it has ${source.sessions} sessions`);
    }
    if (source.sessions++ === 0) this.#busy++;
    return { ok: true, source: key };
  }

  /** A session of this source is over. */
  left(key: string): void {
    const source = this.#known.get(key);
    if (source === undefined || source.sessions === 0) return;
    if (--source.sessions === 0) this.#busy--;
  }

  #refuse(key: string, source: Source, why: string): Admission {
    const now = this.#now();
    if (now - source.loggedAt < MINUTE_MS && now >= source.loggedAt) {
      source.silent++;
      return { ok: false, news: null };
    }
    const more = source.silent === 0 ? "" : `, and ${source.silent} times since the last line`;
    source.loggedAt = now;
    source.silent = 0;
    return { ok: false, news: `${key} is turned away: ${why}${more}` };
  }

  #newcomer(key: string, now: number): Source {
    if (this.#known.size - this.#busy >= MAX_IDLE_SOURCES) this.#forgetOne();
    const source: Source = { sessions: 0, recent: 0, since: now, silent: 0, loggedAt: -Infinity };
    this.#known.set(key, source);
    return source;
  }

  /** A Map lists its oldest entry first; those that are busy go to the end, so that they are not looked at again and again. */
  #forgetOne(): void {
    for (const [key, source] of this.#known) {
      this.#known.delete(key);
      if (source.sessions === 0) return;
      this.#known.set(key, source);
    }
  }
}

/** Text of the source that an address belongs to: `192.0.2.1` or `2001:db8:0:1::/64`. */
export function sourceOf(address: string): string {
  const words = parseAddress(address.replace(/%.*/, ""));
  if (words === null) return address;
  const [a = 0, b = 0] = words;
  if (words.length === 2) return `${a >> 8}.${a & 0xff}.${b >> 8}.${b & 0xff}`;
  return `${words.slice(0, 4).map((word) => word.toString(16)).join(":")}::/64`;
}
