/**
 * Keeps the certificates of the configuration: looks when each is due, obtains it, waits after failures, and asks authorities when they would have theirs
 * renewed. One order at a time. What it has to do with others is injected.
 */

import type { AcmeCertificate } from "../protocol/mod.ts";
import type { Clock } from "../clock.ts";
import { AcmeFailure } from "./failure.ts";
import type { Obtained } from "./order.ts";
import {
  askingDelay,
  covers,
  MOST_RETRY_AFTER_MS,
  renewalTime,
  retryDelay,
  type Validity,
  validityOf,
  type Window,
} from "./renewal.ts";

/** The settings of one line, with the account of its directory as it is now. */
export type Line = AcmeCertificate;

export interface KeeperDeps {
  readonly clock: Clock;
  /** From 0 to 1. */
  random(): number;
  /** Obtains a certificate; `replaces` is the id of the one that is in use. Rejects with an AcmeFailure. */
  obtain(line: Line, replaces: string | null): Promise<Obtained>;
  /** Has it stored and used. Gives the reason when that cannot be done. */
  store(line: Line, obtained: Obtained): Promise<string | null>;
  /** Asks when to renew; null where the authority does not say. Rejects with an AcmeFailure. */
  renewalInfo(line: Line, id: string): Promise<(Window & { readonly retryAfterMs: number | null }) | null>;
  /** Has it remembered beyond the end of this isolate. */
  putOff(line: Line, putOff: Line["putOff"]): void;
  log(level: "info" | "warn", text: string): void;
  count(key: "acme.certificate" | "acme.failure"): void;
  /** When the first certificate ends, in milliseconds since the epoch; null when there is none. */
  expires(at: number | null): void;
}

interface Kept {
  line: Line;
  validity: Validity | null;
  window: Window | null;
  /** When the authority is asked for the window. */
  asksAt: number;
  retryAt: number;
  failures: number;
  /** The authority has named the time of the next attempt. */
  asked: boolean;
}

/** It looks at least so often: the clock may be set, and the machine may sleep. */
const LOOK_MS = 3_600_000;
/** Authorities are asked for the window of a stored certificate within this time after the start, spread. */
const FIRST_ASKING_MS = 6 * 3_600_000;

export class Keeper {
  readonly #deps: KeeperDeps;
  #kept: Kept[];
  #cancel = () => {};
  #busy = false;
  #stopped = false;

  constructor(lines: readonly Line[], deps: KeeperDeps) {
    this.#deps = deps;
    this.#kept = lines.map((line) => this.#keptOf(line));
    this.#reportExpiry();
  }

  /** Begins to look. */
  start(): void {
    this.#look();
  }

  /** Other lines are to be kept from now on; what is known of those that stay the same is kept. */
  renew(lines: readonly Line[]): void {
    this.#kept = lines.map((line) => {
      const old = this.#kept.find((one) => isSame(one.line, line));
      if (old === undefined) return this.#keptOf(line);
      // The same object: it may be worked on.
      old.line = line;
      return old;
    });
    this.#reportExpiry();
    this.#look();
  }

  /** Tries what failed without waiting any longer, unless the authority has named the time. */
  look(): void {
    for (const one of this.#kept) if (!one.asked) one.retryAt = 0;
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #keptOf(line: Line): Kept {
    const { putOff, chain } = line;
    let validity: Validity | null = null;
    try {
      validity = chain === null ? null : validityOf(chain);
    } catch {
      // It is obtained anew.
    }
    const now = this.#deps.clock.now();
    return {
      line,
      validity,
      window: null,
      asksAt: now + (validity?.spread ?? 0) * FIRST_ASKING_MS,
      retryAt: putOff.until,
      failures: putOff.failures,
      asked: false,
    };
  }

  #look(): void {
    this.#cancel();
    if (this.#busy || this.#stopped) return;
    const { clock } = this.#deps, now = clock.now();
    // The clock was ahead when these were put off.
    for (const one of this.#kept) if (one.retryAt - now > MOST_RETRY_AFTER_MS) one.retryAt = now;
    const due = this.#kept.find((one) => this.#dueAt(one) <= now);
    if (due === undefined) {
      const next = Math.min(LOOK_MS, ...this.#kept.map((one) => this.#dueAt(one) - now));
      this.#cancel = clock.after(Math.ceil(next), () => this.#look());
      return;
    }
    this.#busy = true;
    void this.#work(due).finally(() => {
      this.#busy = false;
      this.#look();
    });
  }

  /** When there is something to do for a line. */
  #dueAt(one: Kept): number {
    const renewal = this.#renewalAt(one);
    const asks = one.validity?.id == null ? Infinity : one.asksAt;
    return Math.min(Math.max(renewal, one.retryAt), asks);
  }

  #renewalAt({ line, validity, window }: Kept): number {
    if (validity === null || !covers(validity, line.names)) return 0;
    return renewalTime(validity, window);
  }

  async #work(one: Kept): Promise<void> {
    const now = this.#deps.clock.now();
    if (Math.max(this.#renewalAt(one), one.retryAt) <= now) return await this.#obtain(one);
    await this.#ask(one);
  }

  /** An authority that does not answer this is no reason to worry: the certificate is renewed in time without it. */
  async #ask(one: Kept): Promise<void> {
    let retryAfterMs: number | null = null;
    try {
      const info = await this.#deps.renewalInfo(one.line, one.validity!.id!);
      one.window = info === null ? null : { start: info.start, end: info.end };
      retryAfterMs = info?.retryAfterMs ?? null;
    } catch (error) {
      if (!(error instanceof AcmeFailure)) throw error;
      retryAfterMs = error.retryAfterMs;
    }
    one.asksAt = this.#deps.clock.now() + askingDelay(retryAfterMs);
  }

  async #obtain(one: Kept): Promise<void> {
    const { clock, obtain, store, log, count, putOff } = this.#deps;
    const { line } = one;
    try {
      const obtained = await obtain(line, one.validity?.id ?? null);
      const fault = await store(line, obtained);
      if (fault !== null) throw new AcmeFailure("here", fault);
      one.validity = validityOf(obtained.cert);
      // It is in the log of the daemon that an authority gave what is of no use, and it is not asked again and again for it.
      if (!covers(one.validity, line.names)) throw new AcmeFailure("refused", "the certificate is not for all names");
    } catch (error) {
      // Whatever it is, an isolate that ended by it would ask the authority again at once.
      const unknown = () => new AcmeFailure("refused", `a mistake of this program: ${error}`);
      return this.#failed(one, error instanceof AcmeFailure ? error : unknown());
    }
    one.window = null;
    one.asksAt = clock.now() + one.validity.spread * FIRST_ASKING_MS;
    if (one.failures > 0 || one.retryAt > 0) putOff(line, { until: 0, failures: 0 });
    one.failures = 0;
    one.retryAt = 0;
    one.asked = false;
    count("acme.certificate");
    this.#reportExpiry();
    const { names, notAfter } = one.validity;
    const renewed = renewalTime(one.validity, null);
    log(
      "info",
      `info: acme: pki "${line.name}": the certificate for ${names.join(", ")} was obtained: it ends on ${
        day(notAfter)
      }, ` +
        `and is renewed about ${day(renewed)}`,
    );
  }

  #failed(one: Kept, error: AcmeFailure): void {
    const { clock, random, log, count, putOff } = this.#deps;
    one.failures++;
    const delay = Math.ceil(retryDelay(error, { failures: one.failures, random: random() }));
    one.retryAt = clock.now() + delay;
    one.asked = error.retryAfterMs !== null || error.type === "rateLimited";
    putOff(one.line, { until: one.retryAt, failures: one.failures });
    count("acme.failure");
    const used = one.validity === null ? "" : `; the one in use ends on ${day(one.validity.notAfter)}`;
    log(
      "warn",
      `warn: acme: pki "${one.line.name}": no certificate: ${error.message}: it is tried again in ${duration(delay)} ` +
        `(failures in a row: ${one.failures})${used}`,
    );
  }

  #reportExpiry(): void {
    const ends = this.#kept.flatMap(({ validity }) => validity === null ? [] : [validity.notAfter]);
    this.#deps.expires(ends.length === 0 ? null : Math.min(...ends));
  }
}

/** True when two settings ask for the same certificate: accounts and what is remembered of failures aside. */
function isSame(one: Line, other: Line): boolean {
  const { account: _a, putOff: _b, chain: _c, ...own } = one;
  const { account: _d, putOff: _e, chain: _f, ...its } = other;
  return JSON.stringify(own) === JSON.stringify(its);
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
