/** The keys of DKIM and what they have signed. Signs hashes of messages that lookup has let out, once for each message. Knows no doors. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { BoundedSet } from "../bounded_map.ts";
import { type MessageId } from "../envelope/mod.ts";
import { signHash } from "../mail_auth/dkim/mod.ts";
import { SigningMac } from "../mac/mod.ts";
import type { SignerSettings, SigningKey, SigningRefusal } from "../protocol/mod.ts";

/** Signatures that are remembered: beyond these a message could be signed again. */
const MAX_REMEMBERED_SIGNATURES = 100_000;
/** So long a key that was replaced still signs, in milliseconds: messages are on their way whose signatures name it. */
export const OLD_KEY_MS = 60_000;

export interface SignQuestion {
  readonly message: MessageId;
  readonly grant: string;
  readonly domain: string;
  readonly selector: string;
  readonly hash: Uint8Array;
}

/** `forged`: the grant is not lookup's for this message. */
export type SignResult =
  | { readonly ok: true; readonly signature: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly refusal: SigningRefusal | "forged" };

export class Signatures {
  readonly #mac: SigningMac;
  /** By domain and selector. `until`: ms of a steady clock; Infinity for those in use. */
  readonly #keys = new Map<string, { readonly key: KeyObject; until: number }>();
  readonly #signed = new BoundedSet<string>(MAX_REMEMBERED_SIGNATURES);
  readonly #now: () => number;

  /** `now`: ms of a steady clock. Throws when a key cannot be read. */
  constructor({ keys, signingMacKey }: Pick<SignerSettings, "keys" | "signingMacKey">, now: () => number) {
    this.#mac = new SigningMac(signingMacKey);
    this.#now = now;
    this.renew(keys);
  }

  /** Signs with these keys from now on. Those that were there before still sign for a minute. Throws when one cannot be read. */
  renew(keys: readonly SigningKey[]): void {
    const fresh = keys.map(({ domain, selector, key }) => [nameOf(domain, selector), createPrivateKey(key)] as const);
    const end = this.#now() + OLD_KEY_MS;
    for (const known of this.#keys.values()) known.until = Math.min(known.until, end);
    for (const [name, key] of fresh) this.#keys.set(name, { key, until: Infinity });
  }

  /** Signs a hash, if the grant is one and the key has not signed the message before. */
  sign({ message, grant, domain, selector, hash }: SignQuestion): SignResult {
    if (!this.#mac.verify(message, grant)) return { ok: false, refusal: "forged" };
    const name = nameOf(domain, selector);
    const known = this.#keys.get(name);
    if (known === undefined || known.until <= this.#now()) return { ok: false, refusal: "key" };
    const use = `${message} ${name}`;
    if (this.#signed.has(use)) return { ok: false, refusal: "spent" };
    this.#signed.add(use);
    return { ok: true, signature: new Uint8Array(signHash(known.key, hash)) };
  }

  /** Forgets the keys whose time is over. */
  tidy(): void {
    for (const [name, { until }] of this.#keys) if (until <= this.#now()) this.#keys.delete(name);
  }
}

function nameOf(domain: string, selector: string): string {
  return `${selector}._domainkey.${domain}`;
}
