/**
 * The field Authentication-Results, RFC 8601: writes ours, and finds those of others that claim to be ours. Octets and verdicts in, text out. Reads
 * no results of others: nothing here goes by them.
 */

import { asciiDomain, unicodeDomain } from "../envelope/mod.ts";

/** What the field says about one check of SPF. */
export interface CheckedSender {
  readonly result: string;
  readonly identity: "mailfrom" | "helo";
  readonly domain: string;
  readonly reason: string | null;
}

/** What the field says about a message; `Verdict` of check.ts has all of it. */
export interface CheckedMessage {
  readonly spf: CheckedSender;
  /** Of the name in HELO, where `spf` is of the sender; null or absent: there is nothing to say of it. */
  readonly spfHelo?: CheckedSender | null;
  readonly dkim: ReadonlyArray<{
    readonly result: string;
    readonly domain: string;
    readonly selector: string;
    readonly identity: string | null;
    /** The first characters of `b=`, which tell signatures of one domain apart (RFC 6008). */
    readonly signature: string;
    readonly reason: string | null;
    readonly keyBits: number | null;
    readonly testing: boolean;
  }>;
  readonly arc: {
    readonly result: string;
    readonly instance: number;
    readonly sealers: readonly string[];
    readonly reason: string | null;
  };
  readonly dmarc: {
    readonly result: string;
    readonly domain: string;
    readonly policy: string | null;
    readonly reason: string | null;
  };
}

/** A field of a header section. */
export interface NamedField {
  /** In lower case. */
  readonly name: string;
  /** All of the field, its name and its line ends included. */
  readonly octets: Uint8Array;
}

/** RFC 5322 §2.1.1: lines should have no more. */
const LINE_COLUMNS = 78;
/** Characters of a reason. What stands there may be a stranger's text: of a DNS record, or of a field of the message. */
const MAX_REASON_CHARACTERS = 160;
/** Characters of a value: an address has at most 320. */
const MAX_VALUE_CHARACTERS = 320;
/** Characters of a name in any spelling: in A-labels it has 253 octets. */
const MAX_NAME_CHARACTERS = 1000;
/** Words of a claimed name that are looked at. */
const MAX_PARTS = 20;
/** Sealers that are named. */
const MAX_SEALERS = 5;

/** One `resinfo` of RFC 8601 §2.2: words that a line may end between. */
type Words = string[];

/**
 * Returns the field for a message, folded, with LF line ends: what was checked, with what result, and by which property. `authserv` is the name of
 * the host that checked. It is ASCII unless an address of the message is not (RFC 8616).
 */
export function authenticationResults(authserv: string, verdict: CheckedMessage): string {
  const { spf, spfHelo = null, dkim, arc, dmarc } = verdict;
  const results: Words[] = [spfWords(spf)];
  if (spfHelo !== null) results.push(spfWords(spfHelo));
  for (const signature of dkim) results.push(dkimWords(signature));
  if (dkim.length === 0) results.push(["dkim=none"]);
  results.push([`arc=${keyword(arc.result)}`, ...comment(arcRemarks(arc))]);
  results.push([
    `dmarc=${keyword(dmarc.result)}`,
    ...comment([dmarc.reason]),
    ...property("header.from", dmarc.domain),
    ...property("policy.dmarc", dmarc.policy),
  ]);
  return `Authentication-Results: ${value(authserv)};\n${results.map((words) => fold(words)).join(";\n")}\n`;
}

function spfWords({ result, reason, identity, domain }: CheckedSender): Words {
  return [`spf=${keyword(result)}`, ...comment([reason]), ...property(`smtp.${identity}`, domain)];
}

function dkimWords(signature: CheckedMessage["dkim"][number]): Words {
  const { keyBits, testing } = signature;
  const remarks = [signature.reason, keyBits === null ? null : `${keyBits}-bit key`, testing ? "testing" : null];
  return [
    `dkim=${keyword(signature.result)}`,
    ...comment(remarks),
    ...property("header.d", signature.domain),
    ...property("header.s", signature.selector),
    ...property("header.b", signature.signature),
    ...property("header.i", signature.identity),
  ];
}

function arcRemarks({ instance, sealers, reason }: CheckedMessage["arc"]): (string | null)[] {
  if (instance === 0) return [reason];
  const more = sealers.length > MAX_SEALERS ? ` and ${sealers.length - MAX_SEALERS} more` : "";
  const named = sealers.length > 0 ? `sealed by ${sealers.slice(0, MAX_SEALERS).join(" ")}${more}` : null;
  return [reason, `i=${instance}`, named];
}

/** Results are ours, never a stranger's; a word that is none is not written as one. */
function keyword(result: string): string {
  return /^[a-z]+$/.test(result) ? result : "permerror";
}

/** `ptype.property=value`; nothing for a value that is not known. */
function property(name: string, text: string | null): Words {
  return text === null || text === "" ? [] : [`${name}=${value(text)}`];
}

/** A `pvalue` of RFC 8601 §2.2: as it is where it is a token, a domain, or an address; else quoted. */
function value(text: string): string {
  const plain = printable(text, MAX_VALUE_CHARACTERS);
  if (/^[^\s()<>@,;:\\"/[\]?=]+$/.test(plain)) return plain;
  if (/^(?:[^\s()<>@,;:\\"[\]]+)?@[A-Za-z0-9_.-]+$/.test(plain)) return plain;
  return `"${plain.replace(/["\\]/g, "\\$&")}"`;
}

/** A comment (RFC 5322 §3.2.2) in words that a line may end between. Nothing in it ends it: brackets and backslashes are quoted. */
function comment(remarks: readonly (string | null)[]): Words {
  const text = remarks.filter((remark) => remark !== null && remark !== "").join("; ");
  // A message may go where no UTF-8 may, whatever a stranger's record says.
  const plain = printable(text, MAX_REASON_CHARACTERS).replace(/[^\x20-\x7e]/gu, "?").replace(/[()\\]/g, "\\$&").trim();
  return plain === "" ? [] : `(${plain.replace(/ +/g, " ")})`.split(" ");
}

/** At most `most` characters, without any that ends a line or hides another: those of the control and format classes are shown as `?`. */
function printable(text: string, most: number): string {
  const clean = [...text].slice(0, most + 1).map((character) =>
    /[\p{C}\p{Zl}\p{Zp}]/u.test(character) ? "?" : character
  );
  return clean.length > most ? clean.slice(0, most).join("") + "..." : clean.join("");
}

/** The words in lines that begin with a tab. */
function fold(words: Words): string {
  let text = "", column = 0;
  for (const word of words) {
    // A tab counts as 8 columns.
    if (column === 0 || column + 1 + word.length > LINE_COLUMNS) {
      text += `${column === 0 ? "" : "\n"}\t${word}`;
      column = 8 + word.length;
    } else {
      text += ` ${word}`;
      column += 1 + word.length;
    }
  }
  return text;
}

/**
 * Tells whether the field is an Authentication-Results that bears the name `authserv` although this host did not write it (RFC 8601 §5): in any
 * case, quoted, with comments, with a version, in U-labels, with a final dot, as an encoded word. One that cannot be read, and has the name
 * in it, counts, and so does one that has the name among other signs where a name should be. Takes time proportional to the field.
 */
export function isForged(field: NamedField, authserv: string): boolean {
  if (field.name !== "authentication-results") return false;
  const text = new TextDecoder().decode(field.octets.subarray(field.octets.indexOf(0x3a) + 1));
  const ours = canonical(authserv);
  const written = readIdentifier(text);
  if (written !== null) return spellings(written).some((spelling) => canonical(spelling) === ours);
  const letters = text.normalize("NFKC").toLowerCase().replace(/[\s"\\]/g, "");
  return letters.includes(ours) || letters.includes(unicodeDomain(ours));
}

/** What may be meant by the text of an authserv-id that had comments and quotes: alone, before a version, with blanks inside of it. */
function spellings(written: string): string[] {
  const bare = withoutVersion(written);
  const first = /^[^ /]*/.exec(written)![0];
  // What is no name as a whole, such as `<name>`, may be one for a reader that is not strict.
  const parts = bare.split(/[ /,:;<>@=]+/).slice(0, MAX_PARTS);
  return [...new Set([first, bare.replaceAll(" ", ""), ...encodedWords(bare), ...parts])];
}

/** `authres-version` of RFC 8601 §2.2 is digits. */
function withoutVersion(written: string): string {
  let end = written.length;
  while (end > 0 && /[0-9]/.test(written[end - 1]!)) end--;
  if (end > 0 && !/[ /]/.test(written[end - 1]!)) return written;
  while (end > 0 && /[ /]/.test(written[end - 1]!)) end--;
  return written.slice(0, end);
}

/** RFC 2047 allows no encoded word here; some readers decode one all the same. */
function encodedWords(text: string): string[] {
  const words = text.split(" ").slice(0, MAX_PARTS).map(encodedWord);
  return words.includes(null) ? [] : [words.join("")];
}

function encodedWord(text: string): string | null {
  const [, encoding, content] = /^=\?[^?]{1,40}\?([bq])\?([^? ]{0,1000})\?=$/i.exec(text) ?? [];
  if (content === undefined) return null;
  if (encoding!.toLowerCase() === "b") return /^[A-Za-z0-9+/]*={0,2}$/.test(content) ? decodeBase64(content) : null;
  return content.replace(/=([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function decodeBase64(content: string): string | null {
  try {
    return atob(content);
  } catch {
    return null;
  }
}

/**
 * The text up to the first `;` that has something in front of it, without comments, quotes taken off, blanks and control characters as one space each. Null when a comment or
 * a quoted string does not end.
 */
function readIdentifier(text: string): string | null {
  let written = "", depth = 0, quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === "\\") {
      at++;
      if (depth === 0) written += text[at] ?? "";
    } else if (depth > 0) {
      if (character === "(") depth++;
      if (character === ")") depth--;
    } else if (character === '"') quoted = !quoted;
    else if (quoted) written += character;
    else if (character === "(") {
      depth++;
      written += " ";
    } else if (character === ";") {
      if (written.trim() !== "") break;
    } else written += character;
  }
  // deno-lint-ignore no-control-regex
  return depth > 0 || quoted ? null : written.replace(/[\s\x00-\x1f\x7f]+/g, " ").trim();
}

/** Lower case, A-labels, without a final dot: what two spellings of a name have in common. "" for what is too long for a name. */
function canonical(name: string): string {
  if (name.length > MAX_NAME_CHARACTERS) return "";
  const lower = name.toLowerCase().replace(/[.\u3002\uff0e\uff61]$/, "");
  return (asciiDomain(lower) ?? lower).toLowerCase();
}
