/**
 * Signs one message with the keys of the domain of its author: takes its octets as they pass, and has the signer sign at the end. The keys are those
 * of the From domain, or of its nearest parent that has some.
 */

import type { MessageId } from "../envelope/mod.ts";
import { DkimSigner, OVERSIGNED_FIELDS } from "../mail_auth/dkim/mod.ts";
import { fromDomains, headerFields } from "../mail_auth/header_fields.ts";
import type { SigningKeyName } from "../protocol/mod.ts";
import type { SignerClient } from "./signer_client.ts";

export type SigningResult =
  /** Header fields for the front of the message, each line with its LF. */
  | {
    readonly kind: "signed";
    readonly fields: string;
    readonly domain: string;
    readonly selectors: readonly string[];
  }
  /** It goes as it is: `reason` is for the log. */
  | { readonly kind: "unsigned"; readonly reason: string }
  /** It cannot be signed now. */
  | { readonly kind: "failed" };

/** What a message is signed by. */
export interface SigningDeps {
  /** Those that sign now. */
  keys(): readonly SigningKeyName[];
  readonly client: Pick<SignerClient, "deadline" | "sign">;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A message that may be signed, with the grant of lookup for it. */
export interface Granted {
  readonly message: MessageId;
  readonly grant: string;
}

export class MessageSigner {
  readonly #deps: SigningDeps;
  /** One for the keys that sign in the same way. */
  #signers: readonly DkimSigner[] = [];
  #keys: readonly SigningKeyName[] = [];
  /** Why it is not signed. */
  #reason = "it has no header";

  constructor(deps: SigningDeps) {
    this.#deps = deps;
  }

  /** The header section without the blank line behind it; null for one that is too long. */
  header(block: Uint8Array | null): void {
    const keys = block === null ? "its header section is too long" : keysFor(block, this.#deps.keys());
    if (block === null || typeof keys === "string") {
      this.#reason = String(keys);
      return;
    }
    this.#keys = keys;
    const alike = Map.groupBy(keys, ({ headers, expireSeconds }) => JSON.stringify([headers, expireSeconds]));
    this.#signers = [...alike.values()].map((keys) => signerFor(keys, this.#deps.now()));
    for (const signer of this.#signers) signer.header(block);
  }

  /** A piece of the body, with LF at the end of its lines. */
  body(octets: Uint8Array): void {
    for (const signer of this.#signers) signer.body(octets);
  }

  /** All was given. Never rejects; resolves within seconds. */
  async finish(granted: Granted): Promise<SigningResult> {
    if (this.#signers.length === 0) return { kind: "unsigned", reason: this.#reason };
    const { client } = this.#deps;
    const deadline = client.deadline();
    const sign = async (domain: string, selector: string, hash: Uint8Array) => {
      const signature = await client.sign({ ...granted, domain, selector, hash: new Uint8Array(hash) }, deadline);
      if (signature === null) throw new Unsigned();
      return signature;
    };
    try {
      const fields = await Promise.all(this.#signers.map((signer) => signer.finish(sign)));
      const selectors = this.#keys.map(({ selector }) => selector);
      return { kind: "signed", fields: fields.join(""), domain: this.#keys[0]!.domain, selectors };
    } catch (error) {
      if (!(error instanceof Unsigned)) throw error;
      return { kind: "failed" };
    }
  }
}

/** The signer gives no signature. */
class Unsigned extends Error {}

/** The keys for a message, or why there are none. */
function keysFor(block: Uint8Array, keys: readonly SigningKeyName[]): readonly SigningKeyName[] | string {
  const from = fromDomains(headerFields(block));
  switch (from.kind) {
    case "none":
      return "it has no From";
    case "several":
      return "From has addresses of several domains";
    case "invalid":
      return "From has no address that can be read";
    case "one":
      return keysOf(from.domain, keys) ?? `there is no key for ${from.domain}`;
  }
  from satisfies never;
  return "";
}

/** Those of the domain, or of its nearest parent that has some; null for none. */
export function keysOf(domain: string, keys: readonly SigningKeyName[]): readonly SigningKeyName[] | null {
  for (let name = domain.toLowerCase(); name !== ""; name = name.slice(name.indexOf(".") + 1 || name.length)) {
    const own = keys.filter((key) => key.domain === name);
    if (own.length > 0) return own;
  }
  return null;
}

function signerFor(keys: readonly SigningKeyName[], now: number): DkimSigner {
  const { headers, expireSeconds } = keys[0]!;
  return new DkimSigner({ keys, now, expiresInS: expireSeconds, ...headers === null ? {} : fieldsOf(headers) });
}

/** Of the fields that smtpd.conf names those that may stand once are signed so that nobody can add another. */
function fieldsOf(
  headers: readonly string[],
): { readonly oversigned: readonly string[]; readonly signed: readonly string[] } {
  const once = OVERSIGNED_FIELDS.filter((name) => headers.includes(name.toLowerCase()));
  const known = new Set(once.map((name) => name.toLowerCase()));
  return { oversigned: once, signed: headers.filter((name) => !known.has(name)) };
}
