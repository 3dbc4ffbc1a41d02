/**
 * Verifies the ARC chain of a message as it streams by, RFC 8617 §5.2. Seals nothing. What a chain is worth depends on whether its sealers are
 * trusted, which is decided elsewhere. Has no clock and no network: both are passed in.
 */

import {
  type BodyHash,
  BodyHashes,
  canonicalField,
  CLOCK_SKEW_S,
  MAX_SIGNED_HEADER_OCTETS,
  MessageKeys,
  MIN_RSA_BITS,
  SignedHeader,
  unsignedField,
  verifySignature,
} from "../dkim/mod.ts";
import type { Dns } from "../dns.ts";
import { type HeaderField, headerFields } from "../header_fields.ts";
import { type Chain, parseChain } from "./chain.ts";

export interface ArcVerdict {
  readonly result: "none" | "pass" | "fail";
  /** The number of the newest set; 0 without one. */
  readonly instance: number;
  /** The domains that sealed, the oldest first. Claims only, unless the result is `pass`. */
  readonly sealers: readonly string[];
  /** Why it did not pass. */
  readonly reason: string | null;
}

export interface ArcVerifierOptions {
  /** In milliseconds since 1970. */
  readonly now: number;
  readonly dns: Pick<Dns, "txt">;
  /** Shared with others who check the same message: then their owner passes it the body, and `body` does nothing. */
  readonly bodyHashes?: BodyHashes;
}

/** What is known before the body. */
type State =
  | { readonly kind: "decided"; readonly verdict: ArcVerdict }
  | {
    readonly kind: "chain";
    readonly chain: Chain;
    readonly header: SignedHeader;
    /** One for each form of the newest signature. */
    readonly hashes: readonly BodyHash[];
    readonly keys: MessageKeys;
  };

const NONE: ArcVerdict = { result: "none", instance: 0, sealers: [], reason: null };

export class ArcVerifier {
  readonly #now: number;
  readonly #dns: Pick<Dns, "txt">;
  readonly #bodyHashes: BodyHashes;
  readonly #feedsBody: boolean;
  #state: State = { kind: "decided", verdict: NONE };

  constructor({ now, dns, bodyHashes }: ArcVerifierOptions) {
    this.#now = now;
    this.#dns = dns;
    this.#feedsBody = bodyHashes === undefined;
    this.#bodyHashes = bodyHashes ?? new BodyHashes();
  }

  /**
   * Takes the header section, without the empty line behind it, once, and its fields where they are known; asks for the keys, unless the chain is broken already.
   */
  header(block: Uint8Array, known?: readonly HeaderField[]): void {
    if (block.length > MAX_SIGNED_HEADER_OCTETS) {
      this.#state = {
        kind: "decided",
        verdict: { ...NONE, result: "fail", reason: "the header section is too large" },
      };
      return;
    }
    const fields = known ?? headerFields(block);
    const parsed = parseChain(fields);
    if (parsed.kind === "none") return;
    if (parsed.kind === "broken") {
      const { instance, reason } = parsed;
      this.#state = { kind: "decided", verdict: { result: "fail", instance, sealers: [], reason } };
      return;
    }
    const { chain } = parsed;
    const keys = new MessageKeys(this.#dns);
    for (const signed of [chain.message, ...chain.sets.map(({ seal }) => seal)]) void keys.find(signed);
    const { forms, bodyLength } = chain.message;
    const hashes = forms.map(({ body }) => this.#bodyHashes.want(body, bodyLength));
    this.#state = { kind: "chain", chain, header: new SignedHeader(fields), hashes, keys };
  }

  /** Takes the next octets of the body, any number of them, in lines that end with LF. */
  body(octets: Uint8Array): void {
    if (this.#feedsBody) this.#bodyHashes.update(octets);
  }

  /** The message has ended: returns what its chain is worth. Never rejects. */
  async finish(): Promise<ArcVerdict> {
    this.#bodyHashes.finish();
    const state = this.#state;
    if (state.kind === "decided") return state.verdict;
    const { sets } = state.chain;
    const reason = await this.#faultOfMessage(state) ?? await faultOfSeals(state);
    return {
      result: reason === null ? "pass" : "fail",
      instance: sets.length,
      sealers: sets.map(({ seal }) => seal.domain),
      reason,
    };
  }

  /** Step 4 of RFC 8617 §5.2: the newest signature of the message. Those before it may be broken by what was done since. */
  async #faultOfMessage({ chain, header, hashes, keys }: Extract<State, { kind: "chain" }>): Promise<string | null> {
    const { message } = chain;
    if (message.expiration !== null && this.#now / 1000 > message.expiration + CLOCK_SKEW_S) {
      return "the newest signature has expired";
    }
    let fault: string | null = "the body was changed";
    for (const [index, form] of message.forms.entries()) {
      const hash = hashes[index]!;
      if (hash.extent !== "whole") return "the newest signature is not of the whole body";
      if (!hash.matches(message.bodyHash)) continue;
      const pieces = [...header.select(message.fields, form.header), unsignedField(message.field, form.header)];
      fault = await faultOf(message, pieces, keys);
      if (fault === null) return null;
    }
    return fault;
  }
}

/** Step 6 of RFC 8617 §5.2: every seal, the newest first. Each seals all sets before it and its own (§5.1.1). */
async function faultOfSeals({ chain, keys }: Extract<State, { kind: "chain" }>): Promise<string | null> {
  const pieces: Uint8Array[] = [], ends: number[] = [], own: Uint8Array[] = [];
  for (const { results, message, seal } of chain.sets) {
    pieces.push(canonicalField(results, "relaxed"), canonicalField(message, "relaxed"));
    ends.push(pieces.length);
    own.push(unsignedField(seal.field, "relaxed"));
    pieces.push(canonicalField(seal.field, "relaxed"));
  }
  for (let index = chain.sets.length - 1; index >= 0; index--) {
    const sealed = [...pieces.slice(0, ends[index]), own[index]!];
    const fault = await faultOf(chain.sets[index]!.seal, sealed, keys);
    if (fault !== null) return `seal ${index + 1}: ${fault}`;
  }
  return null;
}

type Signed = Chain["message"] | Chain["sets"][number]["seal"];

/** Why a signature is not by its key; null where it is. */
async function faultOf(signed: Signed, pieces: readonly Uint8Array[], keys: MessageKeys): Promise<string | null> {
  const found = await keys.find(signed);
  if (found.kind !== "key") return found.reason;
  const { record } = found;
  if (record.type === "rsa" && record.bits < MIN_RSA_BITS) return `the key has only ${record.bits} bits`;
  return verifySignature(record, pieces, signed.signature) ? null : "the header was changed, or the key is another";
}
