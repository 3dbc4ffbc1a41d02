/** Verifies the DKIM signatures of a message as it streams by, RFC 6376 §6. Has no clock and no network: both are passed in. */

import type { Dns } from "../dns.ts";
import { type HeaderField, headerFields } from "../header_fields.ts";
import { type BodyHash, BodyHashes } from "./body_hash.ts";
import { type FoundKey, type KeyRecord, MessageKeys } from "./key_record.ts";
import { type ParsedSignature, parseSignature, type Signature, type SignatureNames } from "./signature.ts";
import { SignedHeader, unsignedField } from "./signed_header.ts";
import { CLOCK_SKEW_S, MIN_RSA_BITS, verifySignature } from "./verify_signature.ts";

/** The words of RFC 8601 §2.7.1. Without `none`: a message without signatures has no verdicts. */
export type DkimResult = "pass" | "fail" | "policy" | "neutral" | "temperror" | "permerror";

export interface DkimVerdict extends SignatureNames {
  readonly result: DkimResult;
  /** Why it did not pass. */
  readonly reason: string | null;
  /** Of the key; null when there was none. */
  readonly keyBits: number | null;
  /** The key record says `t=y`: the domain only tries, a failure means nothing. */
  readonly testing: boolean;
}

export interface DkimVerifierOptions {
  /** In milliseconds since 1970. */
  readonly now: number;
  readonly dns: Pick<Dns, "txt">;
  /** Shared with others who check the same message: then their owner passes it the body, and `body` does nothing. */
  readonly bodyHashes?: BodyHashes;
}

/** Signatures that are verified, from the top; of more, a message has no use. */
const MAX_SIGNATURES = 10;
/** Octets of a header section that is looked at. */
export const MAX_SIGNED_HEADER_OCTETS = 1 << 20;

type Outcome = Omit<DkimVerdict, keyof SignatureNames>;

/** A signature, what was asked for it, and where it stands. */
interface Check {
  readonly parsed: ParsedSignature;
  readonly found: Promise<FoundKey> | null;
  readonly hash: BodyHash | null;
  /** Octets of its own field, as they were signed. */
  readonly field: Uint8Array | null;
}

export class DkimVerifier {
  readonly #now: number;
  readonly #dns: Pick<Dns, "txt">;
  readonly #bodyHashes: BodyHashes;
  readonly #feedsBody: boolean;
  #checks: readonly Check[] = [];
  #header = new SignedHeader([]);
  #tooLarge = false;

  constructor({ now, dns, bodyHashes }: DkimVerifierOptions) {
    this.#now = now;
    this.#dns = dns;
    this.#feedsBody = bodyHashes === undefined;
    this.#bodyHashes = bodyHashes ?? new BodyHashes();
  }

  /**
   * Takes the header section, without the empty line behind it, once, and its fields where they are known; asks for the keys.
   */
  header(block: Uint8Array, known?: readonly HeaderField[]): void {
    if (block.length > MAX_SIGNED_HEADER_OCTETS) {
      this.#tooLarge = true;
      return;
    }
    const fields = known ?? headerFields(block);
    this.#header = new SignedHeader(fields);
    const keys = new MessageKeys(this.#dns);
    this.#checks = fields.filter(({ name }) => name === "dkim-signature").slice(0, MAX_SIGNATURES).map((field) => {
      const parsed = parseSignature(field);
      if (!parsed.ok) return { parsed, found: null, hash: null, field: null };
      const { signature } = parsed;
      return {
        parsed,
        found: keys.find({ ...signature.names, algorithm: signature.algorithm }),
        hash: this.#bodyHashes.want(signature.body, signature.bodyLength),
        field: unsignedField(field, signature.header),
      };
    });
  }

  /** Takes the next octets of the body, any number of them, in lines that end with LF. */
  body(octets: Uint8Array): void {
    if (this.#feedsBody) this.#bodyHashes.update(octets);
  }

  /** The message has ended: returns a verdict per signature, from the top; none for a message without signatures. Never rejects. */
  async finish(): Promise<readonly DkimVerdict[]> {
    if (this.#tooLarge) return [{ ...NO_NAMES, ...outcome("permerror", "the header section is too large") }];
    this.#bodyHashes.finish();
    const verdicts: DkimVerdict[] = [];
    for (const check of this.#checks) {
      const { parsed } = check;
      const names = parsed.ok ? parsed.signature.names : parsed.names;
      const found = parsed.ok ? await this.#judge(parsed.signature, check) : outcome(parsed.result, parsed.reason);
      verdicts.push({ ...names, ...found });
    }
    return verdicts;
  }

  async #judge(signature: Signature, { found, hash, field }: Check): Promise<Outcome> {
    const key = await found!;
    if (key.kind !== "key") return outcome(key.kind, key.reason);
    const { record } = key;
    const late = this.#offTime(signature);
    if (late !== null) return outcome("policy", late, record);
    if (record.exactDomain && !signature.exactDomain) {
      return outcome("permerror", "the key is not for domains below its own", record);
    }
    if (record.type === "rsa" && record.bits < MIN_RSA_BITS) {
      return outcome("policy", `the key has only ${record.bits} bits`, record);
    }
    if (!hash!.matches(signature.bodyHash)) return outcome("fail", "the body was changed", record);
    const pieces = [...this.#header.select(signature.fields, signature.header), field!];
    if (!verifySignature(record, pieces, signature.signature)) {
      return outcome("fail", "the header was changed, or the key is another", record);
    }
    if (hash!.extent === "longer") return outcome("fail", "the body is shorter than l= says", record);
    // RFC 6376 §8.2: anyone may have put it there.
    if (hash!.extent === "part") return outcome("policy", "content that is not signed follows", record);
    return outcome("pass", null, record);
  }

  #offTime({ timestamp, expiration }: Signature): string | null {
    const now = this.#now / 1000;
    if (expiration !== null && now > expiration + CLOCK_SKEW_S) return "the signature has expired";
    if (timestamp !== null && now < timestamp - CLOCK_SKEW_S) return "the signature is of the future";
    return null;
  }
}

const NO_NAMES: SignatureNames = { domain: "", selector: "", identity: null, algorithm: "", signature: "" };

function outcome(result: DkimResult, reason: string | null, record: KeyRecord | null = null): Outcome {
  return { result, reason, keyBits: record?.bits ?? null, testing: record?.testing ?? false };
}
