/** The ARC sets of a message as a chain, RFC 8617 §4: all that can be judged without keys and the body. */

import { normalName } from "../../net/mod.ts";
import {
  type Algorithm,
  base64Octets,
  type Canonicalization,
  parseTagList,
  splitColons,
  type TagList,
} from "../dkim/mod.ts";
import type { HeaderField } from "../header_fields.ts";

/** RFC 8617 §4.2.1: a longer chain fails. */
export const MAX_ARC_SETS = 50;

/** What both signatures of a set have. */
interface Signed {
  readonly field: HeaderField;
  readonly algorithm: Algorithm;
  /** In A-labels. */
  readonly domain: string;
  readonly selector: string;
  readonly signature: Uint8Array;
}

export interface Form {
  readonly header: Canonicalization;
  readonly body: Canonicalization;
}

/** Without `c=`: RFC 6376 §3.5 has the first, the test suite of ARC the second. What either signs is signed. */
const DEFAULT_FORMS: readonly Form[] = [
  { header: "simple", body: "simple" },
  { header: "relaxed", body: "relaxed" },
];

/** ARC-Message-Signature. */
export interface MessageSignature extends Signed {
  readonly bodyHash: Uint8Array;
  /** How it may be canonicalized: as it says, or by one of these when it does not. */
  readonly forms: readonly Form[];
  /** In lower case. */
  readonly fields: readonly string[];
  /** Octets of the body that are signed; null for all. */
  readonly bodyLength: number | null;
  /** Seconds since the epoch; null where it does not end. */
  readonly expiration: number | null;
}

/** ARC-Seal. */
export interface Seal extends Signed {
  readonly validation: "none" | "pass" | "fail";
}

export interface ArcSet {
  readonly results: HeaderField;
  readonly message: HeaderField;
  readonly seal: Seal;
}

/** The sets in order of `i=`, from 1 on. */
export interface Chain {
  readonly sets: readonly ArcSet[];
  /** That of the newest set. */
  readonly message: MessageSignature;
}

export type ParsedChain =
  | { readonly kind: "none" }
  /** `instance` is the highest that was found. */
  | { readonly kind: "broken"; readonly instance: number; readonly reason: string }
  | { readonly kind: "chain"; readonly chain: Chain };

const NAMES = ["arc-authentication-results", "arc-message-signature", "arc-seal"] as const;
type Name = typeof NAMES[number];

class Broken extends Error {}

/** Reads the chain of a message: every set whole and once, numbered without gaps, as RFC 8617 §5.2 wants it. Never throws. */
export function parseChain(fields: readonly HeaderField[]): ParsedChain {
  const ours = fields.filter(({ name }) => (NAMES as readonly string[]).includes(name));
  if (ours.length === 0) return { kind: "none" };
  let instance = 0;
  try {
    if (ours.length > MAX_ARC_SETS * NAMES.length) throw new Broken(`more than ${MAX_ARC_SETS} sets`);
    const found = new Map<string, HeaderField>();
    for (const field of ours) {
      const number = instanceOf(field);
      instance = Math.max(instance, number);
      const key = `${field.name} ${number}`;
      if (found.has(key)) throw new Broken(`two fields ${field.name} of set ${number}`);
      found.set(key, field);
    }
    const sets: ArcSet[] = [];
    for (let number = 1; number <= instance; number++) sets.push(readSet(found, number));
    return { kind: "chain", chain: { sets, message: readMessageSignature(sets.at(-1)!.message) } };
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { kind: "broken", instance, reason: error.message };
  }
}

/** A tag of its own in both signatures; in the results it stands in front (RFC 8617 §4.1.1). */
function instanceOf(field: HeaderField): number {
  const text = field.name === "arc-authentication-results"
    ? /^i[ \t]*=[ \t]*([0-9]{1,3})[ \t]*;/.exec(field.value())?.[1]
    : tagsOf(field).get("i");
  const number = /^[0-9]{1,3}$/.test(text ?? "") ? Number(text) : 0;
  if (number < 1 || number > MAX_ARC_SETS) throw new Broken(`a field ${field.name} has no number of a set`);
  return number;
}

function tagsOf(field: HeaderField): TagList {
  const tags = parseTagList(field.value());
  if (tags === null) throw new Broken(`syntax error in ${field.name}`);
  return tags;
}

function readSet(found: ReadonlyMap<string, HeaderField>, number: number): ArcSet {
  const field = (name: Name): HeaderField => {
    const one = found.get(`${name} ${number}`);
    if (one === undefined) throw new Broken(`set ${number} has no ${name}`);
    return one;
  };
  const seal = readSeal(field("arc-seal"));
  const expected = number === 1 ? "none" : "pass";
  if (seal.validation === "fail") throw new Broken(`set ${number} says that the chain had failed`);
  if (seal.validation !== expected) throw new Broken(`set ${number} has cv=${seal.validation}, not ${expected}`);
  return { results: field("arc-authentication-results"), message: field("arc-message-signature"), seal };
}

/** RFC 8617 §4.1.3. */
function readSeal(field: HeaderField): Seal {
  const tags = tagsOf(field);
  const validation = tags.get("cv");
  if (validation !== "none" && validation !== "pass" && validation !== "fail") throw new Broken("a seal has no cv=");
  // What it signs is fixed.
  if (tags.has("h")) throw new Broken("a seal has h=");
  return { ...readSigned(field, tags), validation };
}

/** RFC 8617 §4.1.2: as DKIM-Signature, without a version, and with `i=` for the set. */
function readMessageSignature(field: HeaderField): MessageSignature {
  const tags = tagsOf(field);
  const names = tags.get("h");
  if (names === undefined) throw new Broken("the newest signature has no h=");
  const fields = splitColons(names.toLowerCase()).filter((name) => name !== "");
  if (fields.includes("arc-seal")) throw new Broken("the newest signature names arc-seal");
  const length = tags.get("l");
  if (length !== undefined && !/^[0-9]{1,76}$/.test(length)) throw new Broken("syntax error in l=");
  return {
    ...readSigned(field, tags),
    bodyHash: base64(tags, "bh"),
    forms: readForms(tags.get("c")),
    fields,
    bodyLength: length === undefined ? null : Math.min(Number(length), Number.MAX_SAFE_INTEGER),
    expiration: seconds(tags, "x"),
  };
}

function readForms(text: string | undefined): readonly Form[] {
  if (text === undefined) return DEFAULT_FORMS;
  const [, header, body = "simple"] = /^(simple|relaxed)(?:\/(simple|relaxed))?$/.exec(text) ?? [];
  if (header === undefined) throw new Broken("the newest signature has a canonicalization that is not known");
  return [{ header: header as Canonicalization, body: body as Canonicalization }];
}

function readSigned(field: HeaderField, tags: TagList): Signed {
  const algorithm = tags.get("a");
  if (algorithm !== "rsa-sha256" && algorithm !== "ed25519-sha256") {
    throw new Broken(`${field.name} has no algorithm that is accepted`);
  }
  const domain = normalName(tags.get("d") ?? ""), selector = normalName(tags.get("s") ?? "");
  if (domain === null) throw new Broken(`syntax error in d= of ${field.name}`);
  if (selector === null) throw new Broken(`syntax error in s= of ${field.name}`);
  seconds(tags, "t");
  return { field, algorithm, domain, selector, signature: base64(tags, "b") };
}

function base64(tags: TagList, name: string): Uint8Array {
  const octets = base64Octets(tags.get(name) ?? "");
  if (octets === null || octets.length === 0) throw new Broken(`syntax error in ${name}=`);
  return octets;
}

function seconds(tags: TagList, name: string): number | null {
  const text = tags.get(name);
  if (text === undefined) return null;
  if (!/^[0-9]{1,12}$/.test(text)) throw new Broken(`syntax error in ${name}=`);
  return Number(text);
}
