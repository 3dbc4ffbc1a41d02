/** What smtp and the queue ask of the signer isolate, which alone has the keys of DKIM. Types, limits and checks only. */

import type { MessageId } from "../envelope/mod.ts";
import { type Check, kindOf, type MessageTable, nullOr, octets, oneOf, optional, type Replies, text } from "./check.ts";
import { door } from "./door.ts";
import { call, mac, messageId } from "./shapes.ts";

/** RFC 6376 §3.3 and RFC 8463 §3. */
export type SigningAlgorithm = "rsa-sha256" | "ed25519-sha256";

export interface ToSigner {
  readonly type: "sign";
  readonly call: number;
  readonly message: MessageId;
  /** Of lookup, see src/mac/signing_mac.ts. */
  readonly grant: string;
  /** Which key, in A-labels. */
  readonly domain: string;
  readonly selector: string;
  /** SHA-256 of the header fields that are signed (RFC 6376 §3.7). */
  readonly hash: Uint8Array<ArrayBuffer>;
}

/** `key`: there is no such key, or not yet; `spent`: this key has signed the message already. */
export type SigningRefusal = "key" | "spent";

export interface FromSigner {
  readonly type: "signed";
  readonly call: number;
  /** Null: it is refused. */
  readonly signature: Uint8Array<ArrayBuffer> | null;
  readonly refusal?: SigningRefusal;
}

const HASH_OCTETS = 32;
/** Of RSA with 8192 bits. */
const MAX_SIGNATURE_OCTETS = 1024;
/** RFC 1035 §2.3.4. */
const MAX_NAME_CHARS = 253;

const hash: Check<Uint8Array<ArrayBuffer>> = (value) =>
  octets(HASH_OCTETS)(value) ??
    ((value as Uint8Array).length === HASH_OCTETS ? null : `is ${kindOf(value)} of another length than ${HASH_OCTETS}`);
const name = text(MAX_NAME_CHARS);

const TO_SIGNER: MessageTable<ToSigner> = {
  sign: { call, message: messageId, grant: mac, domain: name, selector: name, hash },
};
const FROM_SIGNER: MessageTable<FromSigner> = {
  signed: { call, signature: nullOr(octets(MAX_SIGNATURE_OCTETS)), refusal: optional(oneOf("key", "spent")) },
};
const SIGNER_REPLIES: Replies<ToSigner, FromSigner> = { sign: ["signed"] };

export const SIGNER = door<ToSigner, FromSigner>(TO_SIGNER, FROM_SIGNER, SIGNER_REPLIES);
