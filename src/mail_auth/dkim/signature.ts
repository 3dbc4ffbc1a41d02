/** The DKIM-Signature field, RFC 6376 §3.5, as a value: all that can be judged without its key and the message. */

import { asciiDomain } from "../../envelope/mod.ts";
import { normalName } from "../../net/mod.ts";
import type { HeaderField } from "../header_fields.ts";
import type { Canonicalization } from "./canonicalize_body.ts";
import { base64Octets, parseTagList, splitColons, type TagList } from "./tag_list.ts";

export type Algorithm = "rsa-sha256" | "ed25519-sha256";

/** What a report says of a signature, also of one that cannot be read: "" for what is not there. */
export interface SignatureNames {
  /** A-label, lower case. */
  readonly domain: string;
  readonly selector: string;
  /** `i=` as written. */
  readonly identity: string | null;
  readonly algorithm: string;
  /** The first characters of `b=`, which tell it from the others: RFC 6008. */
  readonly signature: string;
}

export interface Signature {
  readonly names: SignatureNames;
  readonly algorithm: Algorithm;
  readonly signature: Uint8Array;
  readonly bodyHash: Uint8Array;
  readonly header: Canonicalization;
  readonly body: Canonicalization;
  /** Octets of the canonical body that are signed; null for all. */
  readonly bodyLength: number | null;
  /** Names of the signed fields, in lower case. */
  readonly fields: readonly string[];
  /** Whether the identity is of the domain itself and not of one below. */
  readonly exactDomain: boolean;
  /** In seconds since 1970. */
  readonly timestamp: number | null;
  readonly expiration: number | null;
}

export type ParsedSignature =
  | { readonly ok: true; readonly signature: Signature }
  | {
    readonly ok: false;
    readonly names: SignatureNames;
    /** RFC 8601 §2.7.1: `neutral` for bad syntax, `permerror` for what RFC 6376 forbids. */
    readonly result: "neutral" | "permerror";
    readonly reason: string;
  };

const ALGORITHMS: readonly string[] = ["rsa-sha256", "ed25519-sha256"] satisfies Algorithm[];

class Refusal extends Error {
  constructor(readonly result: "neutral" | "permerror", reason: string) {
    super(reason);
  }
}

const malformed = (what: string) => new Refusal("neutral", `syntax error in ${what}`);

/** Reads a DKIM-Signature field. Never throws. */
export function parseSignature(field: HeaderField): ParsedSignature {
  const tags = parseTagList(field.value());
  const names = namesOf(tags ?? new Map());
  try {
    if (tags === null) throw malformed("the signature");
    return { ok: true, signature: read(tags, names) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ok: false, names, result: error.result, reason: error.message };
  }
}

function namesOf(tags: TagList): SignatureNames {
  return {
    domain: normalName(tags.get("d") ?? "") ?? "",
    selector: normalName(tags.get("s") ?? "") ?? "",
    identity: tags.get("i") ?? null,
    algorithm: (tags.get("a") ?? "").toLowerCase(),
    signature: (tags.get("b") ?? "").replace(/[ \t]+/g, "").slice(0, 8),
  };
}

/** Throws a Refusal. */
function read(tags: TagList, names: SignatureNames): Signature {
  for (const name of ["v", "a", "b", "bh", "d", "h", "s"]) {
    if (!tags.has(name)) throw new Refusal("neutral", `the signature has no ${name}=`);
  }
  if (tags.get("v") !== "1") throw new Refusal("neutral", "unknown version of the signature");
  const { domain, selector, algorithm } = names;
  if (domain === "") throw malformed("d=");
  if (selector === "") throw malformed("s=");
  // RFC 8301 §3.1.
  if (algorithm === "rsa-sha1") throw new Refusal("permerror", "rsa-sha1 is no longer accepted");
  if (!ALGORITHMS.includes(algorithm)) throw new Refusal("permerror", "unknown algorithm");
  const timestamp = seconds(tags, "t"), expiration = seconds(tags, "x");
  if (timestamp !== null && expiration !== null && expiration <= timestamp) throw malformed("x=");
  const methods = splitColons((tags.get("q") ?? "dns/txt").toLowerCase());
  if (!methods.includes("dns/txt")) throw new Refusal("permerror", "unknown way to ask for the key");
  return {
    names,
    algorithm: algorithm as Algorithm,
    signature: base64(tags, "b"),
    bodyHash: base64(tags, "bh"),
    ...canonicalization(tags.get("c") ?? "simple/simple"),
    bodyLength: bodyLength(tags.get("l")),
    fields: fieldNames(tags.get("h")!),
    exactDomain: identityDomain(names) === domain,
    timestamp,
    expiration,
  };
}

function base64(tags: TagList, name: string): Uint8Array {
  const octets = base64Octets(tags.get(name)!);
  if (octets === null || octets.length === 0) throw malformed(`${name}=`);
  return octets;
}

function seconds(tags: TagList, name: string): number | null {
  const text = tags.get(name);
  if (text === undefined) return null;
  if (!/^\d{1,12}$/.test(text)) throw malformed(`${name}=`);
  return Number(text);
}

function bodyLength(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (!/^\d{1,76}$/.test(text)) throw malformed("l=");
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
}

function canonicalization(text: string): { readonly header: Canonicalization; readonly body: Canonicalization } {
  const [, header, body = "simple"] = /^(simple|relaxed)(?:\/(simple|relaxed))?$/.exec(text.toLowerCase()) ?? [];
  if (header === undefined) throw new Refusal("permerror", "unknown canonicalization");
  return { header: header as Canonicalization, body: body as Canonicalization };
}

/** RFC 6376 §5.4: a signature that leaves out From says nothing about who wrote. */
function fieldNames(text: string): readonly string[] {
  const names = splitColons(text.toLowerCase());
  if (!names.every((name) => /^[\x21-\x39\x3c-\x7e]+$/.test(name))) throw malformed("h=");
  if (!names.includes("from")) throw new Refusal("permerror", "From is not signed");
  return names;
}

/** The domain of `i=`, which is `d=` or below it. */
function identityDomain({ identity, domain }: SignatureNames): string {
  if (identity === null) return domain;
  const at = identity.lastIndexOf("@");
  const found = at < 0 ? null : normalName(asciiDomain(identity.slice(at + 1)) ?? "");
  if (found === null) throw malformed("i=");
  if (found !== domain && !found.endsWith(`.${domain}`)) throw new Refusal("permerror", "i= is not within d=");
  return found;
}
