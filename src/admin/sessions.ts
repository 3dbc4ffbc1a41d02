/** Logins of the page: in memory only, bounded, and good for as long as the token that they were made by. */

import type { AdminToken } from "../protocol/mod.ts";

/** A session without a request for so long is over, and every session after so long. */
export const IDLE_SESSION_MS = 30 * 60_000, MAX_SESSION_MS = 12 * 3_600_000;
/** Sessions of one token, and of all. */
const MAX_TOKEN_SESSIONS = 16, MAX_SESSIONS = 256;
const SECRET_OCTETS = 32;

export interface AdminSession {
  /** The token's. */
  readonly name: string;
  readonly hash: string;
  readonly scope: AdminToken["scope"];
  /** What the page sends with each change. */
  readonly csrf: string;
  /** Ms since the epoch. */
  readonly madeAt: number;
  usedAt: number;
}

export class AdminSessions {
  readonly #now: () => number;
  /** By the value of the cookie, the one that was used longest ago first. */
  readonly #sessions = new Map<string, AdminSession>();

  /** `now` in ms since the epoch. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Begins a session. Returns the value of its cookie. */
  begin({ name, hash, scope }: AdminToken): { readonly cookie: string; readonly session: AdminSession } {
    const now = this.#now();
    const own = [...this.#sessions].filter(([, session]) => session.name === name);
    if (own.length >= MAX_TOKEN_SESSIONS) this.#sessions.delete(own[0]![0]);
    if (this.#sessions.size >= MAX_SESSIONS) this.#sessions.delete(this.#sessions.keys().next().value!);
    const cookie = randomText();
    const session: AdminSession = { name, hash, scope, csrf: randomText(), madeAt: now, usedAt: now };
    this.#sessions.set(cookie, session);
    return { cookie, session };
  }

  /** Finds the session of a cookie, if it is good still: `tokens` are those that are kept now. */
  find(cookie: string, tokens: readonly AdminToken[]): AdminSession | null {
    const session = this.#sessions.get(cookie);
    if (session === undefined) return null;
    this.#sessions.delete(cookie);
    if (!this.isGood(session, tokens)) return null;
    session.usedAt = this.#now();
    this.#sessions.set(cookie, session);
    return session;
  }

  /** Returns whether a session has not ended: neither by time nor with its token. */
  isGood({ name, hash, madeAt, usedAt }: AdminSession, tokens: readonly AdminToken[]): boolean {
    const now = this.#now();
    if (now - usedAt > IDLE_SESSION_MS || now - madeAt > MAX_SESSION_MS || now < madeAt) return false;
    const token = tokens.find((one) => one.name === name);
    return token !== undefined && token.hash === hash && !isExpired(token, now);
  }

  /** Ends the session of a cookie. */
  end(cookie: string): void {
    this.#sessions.delete(cookie);
  }
}

/** Returns whether the time of a token is over; `now` in ms since the epoch. */
export function isExpired({ expiresAt }: Pick<AdminToken, "expiresAt">, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}

function randomText(): string {
  return crypto.getRandomValues(new Uint8Array(SECRET_OCTETS)).toBase64({ alphabet: "base64url", omitPadding: true });
}
