/** The key of an account and what it signs: JWS with ES256 (RFC 7515, RFC 7518 §3.4) in the flattened form that RFC 8555 §6.2 wants. */

import { pem } from "../tls/mod.ts";
import { base64url } from "./base64url.ts";

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;

/** Members in the order in which a thumbprint is made of them (RFC 7638 §3.2). */
interface PublicJwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

/** What a request is signed for. */
export interface SignedFor {
  readonly url: string;
  readonly nonce: string;
  /** URL of the account; null for the requests that find or make it. */
  readonly kid: string | null;
  /** Null: POST-as-GET (RFC 8555 §6.3). */
  readonly payload: unknown;
}

export class AccountKey {
  readonly #key: CryptoKey;
  readonly #jwk: PublicJwk;
  /** PKCS #8. Secret. */
  readonly pem: string;

  private constructor(key: CryptoKey, jwk: PublicJwk, pem: string) {
    this.#key = key;
    this.#jwk = jwk;
    this.pem = pem;
  }

  /** Makes a new key on the curve P-256. */
  static async make(): Promise<AccountKey> {
    const pair = await crypto.subtle.generateKey(CURVE, true, ["sign", "verify"]);
    return await AccountKey.#of(pair.privateKey);
  }

  /** Reads what `pem` gave. Rejects when it is no such key. */
  static async read(text: string): Promise<AccountKey> {
    const octets = Uint8Array.fromBase64(text.replace(/-----[^-]+-----|\s/g, ""));
    return await AccountKey.#of(await crypto.subtle.importKey("pkcs8", octets, CURVE, true, ["sign"]));
  }

  static async #of(key: CryptoKey): Promise<AccountKey> {
    const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", key) as unknown as PublicJwk;
    const octets = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
    return new AccountKey(key, { crv, kty, x, y }, pem("PRIVATE KEY", octets));
  }

  /** Returns the key authorization of a challenge's token (RFC 8555 §8.1). */
  async authorization(token: string): Promise<string> {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(this.#jwk)));
    return `${token}.${base64url(new Uint8Array(digest))}`;
  }

  /** Returns the body of a request. */
  async sign({ url, nonce, kid, payload }: SignedFor): Promise<string> {
    const header = { alg: "ES256", nonce, url, ...kid === null ? { jwk: this.#jwk } : { kid } };
    const protectedHeader = base64url(JSON.stringify(header));
    const body = payload === null ? "" : base64url(JSON.stringify(payload));
    const input = new TextEncoder().encode(`${protectedHeader}.${body}`);
    const signature = new Uint8Array(await crypto.subtle.sign(SIGNATURE, this.#key, input));
    return JSON.stringify({ protected: protectedHeader, payload: body, signature: base64url(signature) });
  }
}
