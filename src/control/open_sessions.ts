/** The SMTP sessions that are open now, from the events that tell of them. Bounded; pure but for the clock that it is given. */

import type { Event } from "../events/mod.ts";
import type { JsonRecord } from "./protocol.ts";

/** Sessions that are kept: of more, those that have been open for longest are left out. */
const MAX_KEPT_SESSIONS = 10_000;

interface OpenSession {
  /** Number of the smtp isolate. */
  readonly isolate: number;
  readonly session: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly address: string;
  readonly host: string;
  tls: string | null;
  login: string | null;
  messages: number;
  refused: number;
  /** The reply to what was refused last. */
  lastRefusal: string | null;
  lastAt: number;
}

export class OpenSessions {
  readonly #now: () => number;
  readonly #open = new Map<string, OpenSession>();

  /** `now` in ms since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes in an event of the smtp isolate of this number. */
  observe(event: Event, isolate: number): void {
    if (event.type === "smtp-connected") return this.#begin(event, isolate);
    if (event.type === "smtp-disconnected") return void this.#open.delete(event.session);
    if (!("session" in event) || !event.type.startsWith("smtp-")) return;
    const known = this.#open.get(event.session);
    if (known === undefined) return;
    known.lastAt = this.#now();
    if (event.type === "smtp-tls") known.tls = event.ciphers;
    if (event.type === "smtp-authentication" && event.result === "ok") known.login = event.user;
    if (event.type === "smtp-message") known.messages++;
    if (event.type === "smtp-failed-command" || event.type === "smtp-bad-input") {
      known.refused++;
      known.lastRefusal = event.reply;
    }
  }

  /** An smtp isolate has ended, and its sessions with it. */
  lost(isolate: number): void {
    for (const [session, one] of this.#open) if (one.isolate === isolate) this.#open.delete(session);
  }

  /** How many are known of. */
  get size(): number {
    return this.#open.size;
  }

  /** Those that have been open for longest first, from the place `from` on, `limit` at most. */
  records({ from, limit }: { readonly from: number; readonly limit: number }): JsonRecord[] {
    return [...this.#open.values()].slice(from, from + limit).map(({ isolate: _, since, lastAt, ...one }) => ({
      ...one,
      since: new Date(since).toISOString(),
      lastAt: new Date(lastAt).toISOString(),
    }));
  }

  #begin(
    { session, address, host }: Extract<Event, { type: "smtp-connected" }>,
    isolate: number,
  ): void {
    if (this.#open.size >= MAX_KEPT_SESSIONS) this.#open.delete(this.#open.keys().next().value!);
    const now = this.#now();
    this.#open.set(session, {
      ...{ isolate, session, address, host },
      ...{ since: now, lastAt: now, tls: null, login: null, messages: 0, refused: 0, lastRefusal: null },
    });
  }
}
