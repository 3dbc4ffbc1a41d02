/** Who asks: by a token, by the cookie of a session, or nobody; and what they may do. */

import type { AdminToken } from "../protocol/mod.ts";
import type { Clock } from "../clock.ts";
import { Problem } from "./api/problem.ts";
import type { RateLimits } from "./limits.ts";
import { cameByTls } from "./origin.ts";
import { findToken, sameSecret } from "./secrets.ts";
import { type AdminSession, AdminSessions } from "./sessions.ts";
import type { AdminSource } from "./source.ts";

/** The connection that a request came by. */
export interface ConnectionFacts {
  /** Whose it is, for limits: an address, or `uid:NUMBER` on a unix socket. */
  readonly client: string;
  /** A name of the listener's own. */
  readonly hostname: string | null;
  /** Reading needs a login, too. */
  readonly auth: boolean;
}

export type Scope = "none" | "read" | "write";

/** Who asks. */
export interface Identity {
  /** Of the token; null for nobody. */
  readonly name: string | null;
  readonly scope: Scope;
  /** Null where it came by no cookie. */
  readonly session: { readonly cookie: string; readonly csrf: string } | null;
  /** It is good still? Asked again by answers that take long. */
  isGood(): Promise<boolean>;
}

/** That there are too many tries to log in is reported so often at most. */
const REPORT_MS = 10_000;
const COOKIE = "vaultpost_session";
const CHALLENGE = { "WWW-Authenticate": 'Bearer realm="vaultpost"' };

export class Identities {
  readonly #source: AdminSource;
  readonly #limits: RateLimits;
  readonly #clock: Pick<Clock, "now">;
  readonly #sessions: AdminSessions;
  /** When too many tries were reported last. */
  #reportedAt = -Infinity;

  constructor(source: AdminSource, limits: RateLimits, clock: Pick<Clock, "now">) {
    this.#source = source;
    this.#limits = limits;
    this.#clock = clock;
    this.#sessions = new AdminSessions(() => clock.now());
  }

  /** Finds out who asks. Throws a Problem for a token that is not good; a cookie that is not good is nobody's. */
  async of(headers: Headers, connection: ConnectionFacts): Promise<Identity> {
    const bearer = headers.get("authorization");
    if (bearer !== null) return await this.#ofBearer(bearer, connection);
    const cookie = cookieOf(headers);
    if (cookie === null) return nobody(connection);
    const session = this.#sessions.find(cookie, await this.#source.tokens());
    if (session === null) return nobody(connection);
    this.#source.tokenUsed(session.name);
    return this.#ofSession(cookie, session);
  }

  /** Logs in by a token. Returns who that is, and the cookie to be set. Throws a Problem. */
  async login(
    text: string,
    headers: Headers,
    connection: ConnectionFacts,
  ): Promise<{ readonly identity: Identity; readonly setCookie: string }> {
    const token = await this.#check(text, connection);
    const { cookie, session } = this.#sessions.begin(token);
    this.#source.act({ by: `admin:${token.name}`, act: "login", what: `from ${connection.client}` });
    this.#source.tokenUsed(token.name);
    return { identity: this.#ofSession(cookie, session), setCookie: cookieText(cookie, headers) };
  }

  /** Ends the session that was asked by. Returns the cookie that takes the other one away. */
  logout({ name, session }: Identity, headers: Headers): string {
    if (session !== null) {
      this.#sessions.end(session.cookie);
      this.#source.act({ by: `admin:${name}`, act: "logout" });
    }
    return `${cookieText("", headers)}; Max-Age=0`;
  }

  async #ofBearer(header: string, connection: ConnectionFacts): Promise<Identity> {
    const text = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (text === undefined) {
      throw new Problem("login-refused", 'Send "Authorization: Bearer TOKEN" with a token of smtpctl admin token.', {
        headers: CHALLENGE,
      });
    }
    const now = this.#clock.now();
    const token = await findToken(text, await this.#source.tokens(), now);
    // Requests with a good token are many, and are no tries to find one.
    if (token === null) await this.#check(text, connection);
    const { name, scope, hash } = token!;
    this.#source.tokenUsed(name);
    return {
      name,
      scope,
      session: null,
      isGood: async () => {
        const tokens = await this.#source.tokens();
        const found = await findToken(text, tokens, this.#clock.now());
        return found?.hash === hash;
      },
    };
  }

  /** Counts a try, and returns the token. Throws a Problem. */
  async #check(text: string, { client }: ConnectionFacts): Promise<AdminToken> {
    const wait = this.#limits.login(client);
    if (wait > 0) {
      this.#reportTooMany(client);
      throw new Problem("rate", `Too many tries to log in: wait ${wait} seconds.`, {
        headers: { "Retry-After": String(wait) },
      });
    }
    const token = await findToken(text, await this.#source.tokens(), this.#clock.now());
    if (token !== null) return token;
    this.#source.act({ by: "admin:-", act: "login-refused", what: `from ${client}` });
    throw new Problem(
      "login-refused",
      "The token is unknown, was revoked or has expired: smtpctl admin tokens lists those that are good, smtpctl admin token makes one.",
      { headers: CHALLENGE },
    );
  }

  /** One who goes on trying fills no log. */
  #reportTooMany(client: string): void {
    const now = this.#clock.now();
    if (now >= this.#reportedAt && now - this.#reportedAt < REPORT_MS) return;
    this.#reportedAt = now;
    this.#source.act({ by: "admin:-", act: "login-refused", what: `from ${client}: too many tries` });
  }

  #ofSession(cookie: string, session: AdminSession): Identity {
    return {
      name: session.name,
      scope: session.scope,
      session: { cookie, csrf: session.csrf },
      isGood: async () => this.#sessions.isGood(session, await this.#source.tokens()),
    };
  }
}

function nobody({ auth }: ConnectionFacts): Identity {
  return { name: null, scope: auth ? "none" : "read", session: null, isGood: () => Promise.resolve(true) };
}

/** Throws a Problem where someone may not do what needs this scope; what changes something by a cookie needs the CSRF token, too. */
export function demand(identity: Identity, scope: "read" | "write", headers: Headers): void {
  if (identity.scope === "none" || (scope === "write" && identity.name === null)) {
    throw new Problem(
      "login-needed",
      `Log in with a token that may ${scope}: smtpctl admin token --${scope} makes one, which goes into "Authorization: Bearer TOKEN" or the login of the page.`,
      { headers: CHALLENGE },
    );
  }
  if (scope === "read") return;
  if (identity.scope !== "write") {
    throw new Problem("scope", `Use a token that may write: smtpctl admin token --write makes one.`);
  }
  if (identity.session === null) return;
  if (!sameSecret(headers.get("x-csrf-token") ?? "", identity.session.csrf)) {
    throw new Problem("csrf", "Send the field X-CSRF-Token with what GET /api/v1/session gives as csrf.");
  }
}

function cookieOf(headers: Headers): string | null {
  const pairs = (headers.get("cookie") ?? "").split(/; */);
  return pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1) || null;
}

function cookieText(value: string, headers: Headers): string {
  return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict${cameByTls(headers) ? "; Secure" : ""}`;
}
