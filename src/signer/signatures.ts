/** The keys of DKIM and what they have signed. Signs hashes of messages that lookup has let out, once for each message. Knows no doors. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { BoundedSet } from "../bounded_map.ts";
import { type MessageId } from "../envelope/mod.ts";
import { signHash } from "../mail_auth/dkim/mod.ts";
import { SigningMac } from "../mac/mod.ts";
import type { Libcrypto, RsaKey } from "./libcrypto.ts";
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

/** A key in use. `until`: ms of a steady clock; Infinity for those in use. */
interface KnownKey {
  readonly key: KeyObject;
  /** The same in the memory of libcrypto; null: the runtime signs. */
  readonly fast: RsaKey | null;
  until: number;
}

export class Signatures {
  readonly #mac: SigningMac;
  readonly #libcrypto: Libcrypto | null;
  /** By domain and selector. */
  readonly #keys = new Map<string, KnownKey>();
  readonly #signed = new BoundedSet<string>(MAX_REMEMBERED_SIGNATURES);
  readonly #now: () => number;

  /** `now`: ms of a steady clock. `libcrypto`: null for signatures by the runtime alone. Throws when a key cannot be read. */
  constructor(
    { keys, signingMacKey }: Pick<SignerSettings, "keys" | "signingMacKey">,
    { now, libcrypto }: { now(): number; readonly libcrypto: Libcrypto | null },
  ) {
    this.#mac = new SigningMac(signingMacKey);
    this.#now = now;
    this.#libcrypto = libcrypto;
    this.renew(keys);
  }

  /** Signs with these keys from now on. Those that were there before still sign for a minute. Throws when one cannot be read. */
  renew(keys: readonly SigningKey[]): void {
    const fresh = keys.map(({ domain, selector, key }) => [nameOf(domain, selector), createPrivateKey(key)] as const);
    const end = this.#now() + OLD_KEY_MS;
    for (const known of this.#keys.values()) known.until = Math.min(known.until, end);
    for (const [name, key] of fresh) {
      const fast = this.#libcrypto?.rsaKey(key) ?? null;
      this.#keys.get(name)?.fast?.free();
      this.#keys.set(name, { key, fast, until: Infinity });
    }
  }

  /** Names of the RSA keys with which the runtime signs: libcrypto is not there, or does not take them. */
  get slow(): string[] {
    const slow = [...this.#keys].filter(([, { key, fast }]) => fast === null && key.asymmetricKeyType === "rsa");
    return slow.map(([name]) => name);
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
    return { ok: true, signature: known.fast?.sign(hash) ?? new Uint8Array(signHash(known.key, hash)) };
  }

  /** Forgets the keys whose time is over. */
  tidy(): void {
    for (const [name, { until }] of this.#keys) if (until <= this.#now()) this.#forget(name);
  }

  /** Forgets all keys. */
  close(): void {
    for (const name of [...this.#keys.keys()]) this.#forget(name);
  }

  #forget(name: string): void {
    this.#keys.get(name)?.fast?.free();
    this.#keys.delete(name);
  }
}

function nameOf(domain: string, selector: string): string {
  return `${selector}._domainkey.${domain}`;
}
