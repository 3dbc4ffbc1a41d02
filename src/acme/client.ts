/** RFC 8555 as a client: signed requests with their nonces, and what an authority answers, checked. Decides nothing about when. */

import type { AcmeChallenge } from "../config/mod.ts";
import { type Clock, sleep } from "../clock.ts";
import type { AccountKey } from "./account_key.ts";
import { AcmeFailure, retryAfter } from "./failure.ts";
import type { HttpResponse, HttpsClient } from "./http.ts";

/** An account at an authority. */
export interface Account {
  readonly key: AccountKey;
  /** Its URL there. */
  readonly url: string;
}

export interface Order {
  readonly url: string;
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  /** URL of the certificate, when it is there. */
  readonly certificate: string | null;
  readonly fault: string | null;
  /** When to ask again, as the authority says. */
  readonly retryAfterMs: number | null;
}

export interface Authorization {
  readonly url: string;
  readonly status: string;
  /** The name that it is for, without `*.`. */
  readonly name: string;
  /** The challenge of the wanted kind; null when the authority offers none. */
  readonly challenge: { readonly url: string; readonly token: string; readonly status: string } | null;
  /** Why a challenge failed. */
  readonly fault: string | null;
  readonly retryAfterMs: number | null;
}

interface DirectoryUrls {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  /** RFC 9773; null where the authority does not offer it. */
  readonly renewalInfo: string | null;
}

type Json = Readonly<Record<string, unknown>>;

/** What a request is sent again for, and how often. */
const MAX_BAD_NONCES = 10;
const MAX_AUTHORIZATIONS = 100;
/** RFC 8555 §8.3: characters of base64url; nothing else may become part of a path or a record. */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;
const SHOWN_CHARS = 300;

export class AcmeClient {
  readonly #http: Pick<HttpsClient, "request">;
  readonly #directoryUrl: string;
  readonly #clock: Pick<Clock, "now" | "after">;
  #directory: DirectoryUrls | null = null;
  /** Of the last answer, for the next request. */
  #nonce: string | null = null;

  constructor(http: Pick<HttpsClient, "request">, directoryUrl: string, clock: Pick<Clock, "now" | "after">) {
    this.#http = http;
    this.#directoryUrl = directoryUrl;
    this.#clock = clock;
  }

  /** Finds the account of a key, or makes one (RFC 8555 §7.3). Who configured this has agreed to the authority's terms. */
  async account(key: AccountKey, contact: readonly string[]): Promise<Account> {
    const { newAccount } = await this.#directoryOf();
    const payload = { termsOfServiceAgreed: true, ...contact.length === 0 ? {} : { contact } };
    const answer = await this.#post({ key, url: newAccount, kid: null, payload });
    return { key, url: locationOf(answer) };
  }

  /** Sets the contact of an account (RFC 8555 §7.3.2). */
  async setContact(account: Account, contact: readonly string[]): Promise<void> {
    await this.#ask(account, account.url, { contact });
  }

  /** `replaces`: the certificate that this one is to replace (RFC 9773 §5). */
  async newOrder(account: Account, names: readonly string[], replaces: string | null): Promise<Order> {
    const { newOrder } = await this.#directoryOf();
    const identifiers = names.map((value) => ({ type: "dns", value }));
    const answer = await this.#ask(account, newOrder, { identifiers, ...replaces === null ? {} : { replaces } });
    return this.#order(locationOf(answer), answer);
  }

  async order(account: Account, url: string): Promise<Order> {
    return this.#order(url, await this.#ask(account, url, null));
  }

  async authorization(account: Account, url: string, kind: AcmeChallenge): Promise<Authorization> {
    const answer = await this.#ask(account, url, null);
    const { status, identifier, challenges } = jsonOf(answer);
    const name = isJson(identifier) ? identifier.value : undefined;
    if (typeof status !== "string" || typeof name !== "string" || !Array.isArray(challenges)) throw malformed();
    const known = challenges.filter(isJson);
    const found = known.find((one) => one.type === kind);
    const failed = known.find(({ error }) => isJson(error));
    return {
      url,
      status,
      name: name.toLowerCase(),
      challenge: found === undefined ? null : challengeOf(found),
      fault: failed === undefined ? null : problemText(failed.error),
      retryAfterMs: this.#retryAfter(answer),
    };
  }

  /** Says that the answer to a challenge is in place (RFC 8555 §7.5.1). */
  async ready(account: Account, url: string): Promise<void> {
    await this.#ask(account, url, {});
  }

  async finalize(account: Account, order: Order, request: Uint8Array): Promise<Order> {
    const csr = request.toBase64({ alphabet: "base64url", omitPadding: true });
    return this.#order(order.url, await this.#ask(account, order.finalize, { csr }));
  }

  /** Returns the chain as PEM text, unchecked. */
  async certificate(account: Account, url: string): Promise<string> {
    return (await this.#ask(account, url, null)).body;
  }

  /**
   * Asks when a certificate is to be renewed (RFC 9773 §4.1): milliseconds since the epoch, and when to ask again. Null where the authority does not
   * offer that.
   */
  async renewalInfo(
    id: string,
  ): Promise<{ readonly start: number; readonly end: number; readonly retryAfterMs: number | null } | null> {
    const { renewalInfo } = await this.#directoryOf();
    if (renewalInfo === null) return null;
    const url = `${renewalInfo.replace(/\/$/, "")}/${id}`;
    const answer = await this.#http.request({ method: "GET", url, body: null });
    if (answer.status !== 200) throw this.#failure(answer);
    const { suggestedWindow } = jsonOf(answer);
    const { start, end } = isJson(suggestedWindow) ? suggestedWindow : {} as Json;
    const window = { start: Date.parse(String(start)), end: Date.parse(String(end)) };
    if (!(window.start < window.end)) throw malformed();
    return { ...window, retryAfterMs: this.#retryAfter(answer) };
  }

  /** True where the authority says when to renew. */
  async offersRenewalInfo(): Promise<boolean> {
    return (await this.#directoryOf()).renewalInfo !== null;
  }

  async #directoryOf(): Promise<DirectoryUrls> {
    if (this.#directory !== null) return this.#directory;
    const answer = await this.#http.request({ method: "GET", url: this.#directoryUrl, body: null });
    if (answer.status !== 200) throw this.#failure(answer);
    const { newNonce, newAccount, newOrder, renewalInfo, meta } = jsonOf(answer, "no directory of ACME");
    if (typeof newNonce !== "string" || typeof newAccount !== "string" || typeof newOrder !== "string") {
      throw new AcmeFailure("refused", `${this.#directoryUrl} is no directory of ACME`);
    }
    if (isJson(meta) && meta.externalAccountRequired === true) {
      throw new AcmeFailure(
        "refused",
        "the authority wants accounts that were made elsewhere, which is not offered here",
      );
    }
    return this.#directory = {
      newNonce,
      newAccount,
      newOrder,
      renewalInfo: typeof renewalInfo === "string" ? renewalInfo : null,
    };
  }

  /** A request of the account. */
  async #ask({ key, url: kid }: Account, url: string, payload: unknown): Promise<HttpResponse> {
    return await this.#post({ key, url, kid, payload });
  }

  /** Sends a signed request; again with another nonce when the authority does not know that one (RFC 8555 §6.5). */
  async #post(
    { key, url, kid, payload }: {
      readonly key: AccountKey;
      readonly url: string;
      readonly kid: string | null;
      readonly payload: unknown;
    },
  ): Promise<HttpResponse> {
    for (let attempt = 1;; attempt++) {
      const nonce = this.#nonce ?? await this.#newNonce();
      this.#nonce = null;
      const body = await key.sign({ url, nonce, kid, payload });
      const answer = await this.#http.request({ method: "POST", url, body });
      this.#nonce = answer.headers.get("replay-nonce") ?? null;
      if (answer.status >= 200 && answer.status < 300) return answer;
      const failure = this.#failure(answer);
      if (failure.type !== "badNonce" || attempt > MAX_BAD_NONCES) throw failure;
      // It may be that of a server that has not heard of it yet.
      await sleep(0, this.#clock);
    }
  }

  async #newNonce(): Promise<string> {
    const { newNonce } = await this.#directoryOf();
    const { headers } = await this.#http.request({ method: "HEAD", url: newNonce, body: null });
    const nonce = headers.get("replay-nonce");
    if (nonce === undefined) throw malformed();
    return nonce;
  }

  #order(url: string, answer: HttpResponse): Order {
    const { status, authorizations, finalize, certificate, error } = jsonOf(answer);
    const urls = Array.isArray(authorizations) ? authorizations : [];
    if (typeof status !== "string" || typeof finalize !== "string" || urls.length > MAX_AUTHORIZATIONS) {
      throw malformed();
    }
    return {
      url,
      status,
      authorizations: urls.map(String),
      finalize,
      certificate: typeof certificate === "string" ? certificate : null,
      fault: isJson(error) ? problemText(error) : null,
      retryAfterMs: this.#retryAfter(answer),
    };
  }

  #retryAfter({ headers }: HttpResponse): number | null {
    return retryAfter(headers.get("retry-after"), this.#clock.now());
  }

  /** Reads a problem document (RFC 7807, RFC 8555 §6.7). */
  #failure(answer: HttpResponse): AcmeFailure {
    const problem = parse(answer.body) ?? {};
    const urn = typeof problem.type === "string" ? problem.type : "";
    const type = /^urn:ietf:params:acme:error:([A-Za-z]{1,40})$/.exec(urn)?.[1] ?? "";
    const retryAfterMs = this.#retryAfter(answer);
    const text = `the authority says ${answer.status}${type === "" ? "" : ` ${type}`}: ${problemText(problem)}`;
    if (type === "accountDoesNotExist") return new AcmeFailure("gone", text, { type });
    const kind = answer.status >= 500 ? "unreached" : "refused";
    return new AcmeFailure(kind, text, { retryAfterMs, type: type || (answer.status === 429 ? "rateLimited" : "") });
  }
}

function challengeOf({ url, token, status }: Json): Authorization["challenge"] {
  if (typeof url !== "string" || typeof token !== "string" || !TOKEN.test(token)) throw malformed();
  return { url, token, status: String(status) };
}

function locationOf({ headers }: HttpResponse): string {
  const location = headers.get("location");
  if (location === undefined) throw malformed();
  return location;
}

function malformed(): AcmeFailure {
  return new AcmeFailure("refused", "the authority answers something that is not of RFC 8555");
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : null;
  } catch {
    return null;
  }
}

function jsonOf({ body }: HttpResponse, what = "an answer that is no JSON"): Json {
  const value = parse(body);
  if (value === null) throw new AcmeFailure("refused", `the authority has ${what}`);
  return value;
}

/** What a problem document says, with what it says of single names, on one line. */
function problemText(problem: unknown): string {
  if (!isJson(problem)) return "no reason given";
  const { type, detail, subproblems } = problem;
  const own = String(detail ?? type ?? "no reason given");
  const more = Array.isArray(subproblems) ? subproblems.filter(isJson).map(({ detail }) => String(detail ?? "")) : [];
  // deno-lint-ignore no-control-regex
  const text = [own, ...more].join("; ").replace(/[\x00-\x1f\x7f]+/g, " ");
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}
