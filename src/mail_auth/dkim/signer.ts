/**
 * Makes the DKIM-Signature fields of a message as it streams by, RFC 6376 §5, relaxed/relaxed. Holds no key: the digest is signed elsewhere
 * (sign_hash.ts). A field that may stand once is signed once more than it is there, so that nobody can add another (§8.15).
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { HeaderField, headerFields } from "../header_fields.ts";
import { type BodyHash, BodyHashes } from "./body_hash.ts";
import type { Algorithm } from "./signature.ts";
import { SignedHeader, unsignedField } from "./signed_header.ts";

export interface SigningKey {
  /** A-label, lower case. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: Algorithm;
}

export interface SignOptions {
  /** In milliseconds since 1970. */
  readonly now: number;
  /** Seconds from now until the signature is void (`x=`). Default: never. */
  readonly expiresInS?: number | null;
  /** Fields that are signed once more than they are there. Default: `OVERSIGNED_FIELDS`. From is always one of them. */
  readonly oversigned?: readonly string[];
  /** Fields that are signed as often as they are there. Default: `SIGNED_FIELDS`. */
  readonly signed?: readonly string[];
}

/** Signs a digest with the key of a selector; what it rejects with is passed on. */
export type SignDigest = (domain: string, selector: string, hash: Uint8Array) => Promise<Uint8Array>;

/** What a reader sees or a program acts on, RFC 6376 §5.4.1, and which nobody on the way has a reason to add. */
export const OVERSIGNED_FIELDS: readonly string[] = [
  "From",
  "Reply-To",
  "To",
  "Cc",
  "Subject",
  "Date",
  "Message-ID",
  "In-Reply-To",
  "References",
  "MIME-Version",
  "Content-Type",
  "Content-Transfer-Encoding",
];
/** Mailing lists add some of these to what others signed: they are signed where they are, and may come later. */
const SIGNED_FIELDS: readonly string[] = [
  "Sender",
  "Content-ID",
  "Content-Description",
  "Content-Disposition",
  "Resent-From",
  "Resent-Sender",
  "Resent-To",
  "Resent-Cc",
  "Resent-Date",
  "Resent-Message-ID",
  "List-Id",
  "List-Help",
  "List-Unsubscribe",
  "List-Unsubscribe-Post",
  "List-Subscribe",
  "List-Post",
  "List-Owner",
  "List-Archive",
  "Feedback-ID",
];
/** Names in one `h=`, of fields that are there: a message with more has the lowest of them signed. */
const MAX_SIGNED_NAMES = 250;
/** Octets of a line of the field (RFC 5322 §2.1.1). */
const MAX_LINE_OCTETS = 76;

export class DkimSigner {
  readonly #options: SignOptions;
  readonly #keys: readonly SigningKey[];
  readonly #bodies = new BodyHashes();
  readonly #hash: BodyHash;
  #header = new SignedHeader([]);

  constructor({ keys, ...options }: SignOptions & { readonly keys: readonly SigningKey[] }) {
    this.#options = options;
    this.#keys = keys;
    this.#hash = this.#bodies.want("relaxed");
  }

  /** Takes the header section, without the empty line behind it, once. */
  header(block: Uint8Array): void {
    this.#header = new SignedHeader(headerFields(block));
  }

  /** Takes the next octets of the body, any number of them, in lines that end with LF. */
  body(octets: Uint8Array): void {
    this.#bodies.update(octets);
  }

  /** The message has ended: returns one field per key, in their order, in lines that end with LF. Rejects when `sign` does. */
  async finish(sign: SignDigest): Promise<string> {
    this.#bodies.finish();
    const names = this.#names();
    const selected = this.#header.select(names.map((name) => name.toLowerCase()), "relaxed");
    const fields = await Promise.all(this.#keys.map(async (key) => {
      const unsigned = this.#unsigned(key, names);
      const hash = createHash("sha256");
      for (const octets of selected) hash.update(octets);
      hash.update(unsignedField(new HeaderField(Buffer.from(`${unsigned}\n`)), "relaxed"));
      const signature = await sign(key.domain, key.selector, new Uint8Array(hash.digest()));
      return `${unsigned}${foldedBase64(Buffer.from(signature).toString("base64"))}\n`;
    }));
    return fields.join("");
  }

  /** The names of `h=`, the lowest field of a name first. */
  #names(): readonly string[] {
    const { oversigned = OVERSIGNED_FIELDS, signed = SIGNED_FIELDS } = this.#options;
    const names: string[] = [];
    const hasFrom = oversigned.some((name) => name.toLowerCase() === "from");
    for (const name of hasFrom ? oversigned : ["From", ...oversigned]) {
      this.#add(names, name, this.#header.count(name.toLowerCase()) + 1);
    }
    for (const name of signed) this.#add(names, name, this.#header.count(name.toLowerCase()));
    return names;
  }

  #add(names: string[], name: string, times: number): void {
    for (let left = Math.min(times, Math.max(1, MAX_SIGNED_NAMES - names.length)); left > 0; left--) names.push(name);
  }

  /** The field up to `b=`. */
  #unsigned({ domain, selector, algorithm }: SigningKey, names: readonly string[]): string {
    const { now, expiresInS = null } = this.#options;
    const seconds = Math.floor(now / 1000);
    const tags = [`v=1`, `a=${algorithm}`, `c=relaxed/relaxed`, `d=${domain}`, `s=${selector}`, `t=${seconds}`];
    if (expiresInS !== null) tags.push(`x=${seconds + expiresInS}`);
    const lines = ["DKIM-Signature:"];
    for (const tag of tags) append(lines, ` ${tag};`);
    append(lines, ` h=${names[0]}`);
    for (const name of names.slice(1)) append(lines, `:${name}`);
    append(lines, ";");
    append(lines, ` bh=${Buffer.from(this.#hash.digest).toString("base64")};`);
    append(lines, " b=");
    return lines.join("\n");
  }
}

/** Puts a part, which a blank may begin, on the last line, or on the next one when it has no room there. */
function append(lines: string[], part: string): void {
  const last = lines.length - 1;
  if (lines[last]!.length + part.length <= MAX_LINE_OCTETS) lines[last] += part;
  else lines.push(`\t${part.startsWith(" ") ? part.slice(1) : part}`);
}

/** Lines of a base64 value, each of which begins with a line end. */
function foldedBase64(text: string): string {
  return (text.match(/.{1,72}/g) ?? []).map((line) => `\n\t${line}`).join("");
}
