/**
 * SHA-256 of a body in its canonical forms, while it streams by. Signatures of DKIM and ARC that want the same form share the work: RFC 6376
 * §3.7, RFC 8617 §4.1.2.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { BodyCanonicalizer, type Canonicalization } from "./canonicalize_body.ts";

/**
 * Makes a first hash. To be called once before messages come: with its first one, the runtime loads a part of itself and runs all microtasks that
 * wait, in the middle of whatever called it.
 */
export function prepareHashing(): void {
  createHash("sha256").update("").digest();
}

/** One form of the body, or as many octets of its beginning as the `l=` of a signature says (RFC 6376 §3.4.5). */
export class BodyHash {
  /** Null for the whole body. */
  readonly limit: number | null;
  readonly #hash = createHash("sha256");
  #digest: Uint8Array = new Uint8Array();
  /** Octets of the whole body in its canonical form. */
  #octets = 0;

  constructor(limit: number | null) {
    this.limit = limit;
  }

  /** SHA-256; empty before the body has ended. */
  get digest(): Uint8Array {
    return this.#digest;
  }

  /** How the octets that are hashed compare with the body: `longer` when `l=` claims more than there are. */
  get extent(): "whole" | "part" | "longer" {
    if (this.limit === null || this.limit === this.#octets) return "whole";
    return this.limit < this.#octets ? "part" : "longer";
  }

  update(octets: Uint8Array): void {
    const left = this.limit === null ? octets.length : this.limit - this.#octets;
    if (left > 0) this.#hash.update(left < octets.length ? octets.subarray(0, left) : octets);
    this.#octets += octets.length;
  }

  finish(): void {
    this.#digest = new Uint8Array(this.#hash.digest());
  }

  /** Tells whether it is the digest that a signature names. */
  matches(digest: Uint8Array): boolean {
    return Buffer.compare(this.#digest, digest) === 0;
  }
}

interface Form {
  readonly canonicalizer: BodyCanonicalizer;
  readonly hashes: BodyHash[];
}

/** All hashes that are wanted of one body; each form is made once. */
export class BodyHashes {
  readonly #forms = new Map<Canonicalization, Form>();
  #finished = false;

  /** Returns the hash of a form, up to `limit` octets of it when that is no null. To be called before the body begins. */
  want(form: Canonicalization, limit: number | null = null): BodyHash {
    let found = this.#forms.get(form);
    if (found === undefined) {
      const hashes: BodyHash[] = [];
      const canonicalizer = new BodyCanonicalizer(form, (octets) => {
        for (const hash of hashes) hash.update(octets);
      });
      found = { canonicalizer, hashes };
      this.#forms.set(form, found);
    }
    let hash = found.hashes.find((hash) => hash.limit === limit);
    if (hash === undefined) {
      hash = new BodyHash(limit);
      found.hashes.push(hash);
    }
    return hash;
  }

  /** The next octets of the body, any number of them, in lines that end with LF. */
  update(octets: Uint8Array): void {
    for (const { canonicalizer } of this.#forms.values()) canonicalizer.update(octets);
  }

  /** The body has ended. Once is enough; again does nothing. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    for (const { canonicalizer, hashes } of this.#forms.values()) {
      canonicalizer.finish();
      for (const hash of hashes) hash.finish();
    }
  }
}
