/**
 * The domains of an address list, RFC 5322 §3.4 with the obsolete forms of §4.4: groups, comments, quoted strings, routes. Stricter than what
 * completes the headers of submitted mail (src/smtp/message/address_list.ts): what two programs could read differently has no one domain.
 */

import { normalName } from "../net/mod.ts";

/** A word is an atom, a quoted string, an encoded word or a domain literal; a sign is one of `<>@,:;.`. */
interface Token {
  readonly kind: "atom" | "quoted" | "literal" | "sign";
  readonly text: string;
}

/**
 * Alternatives from the first character on: blanks; an encoded word (RFC 2047 §2), in which some programs leave commas and brackets that may not
 * be there; a quoted string; a domain literal; a sign; an atom. Each takes what it begins in one pass.
 */
const TOKEN =
  /[ \t]+|(=\?[^?\s"<>@]{1,75}\?[bq]\?[^?\s"<>@]{0,2000}\?=)|"((?:[^"\\]|\\[^])*)"|(\[(?:[^\[\]\\]|\\[^])*\])|([<>@,:;.])|([^ \t"()<>@,:;.\[\]]+)/iy;

// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/;

/** Returns the tokens without blanks and comments, or null for unbalanced quotes, comments or brackets. */
function tokensOf(text: string): readonly Token[] | null {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === "(") {
      at = endOfComment(text, at);
      if (at < 0) return null;
      continue;
    }
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) return null;
    at = TOKEN.lastIndex;
    const [, encoded, quoted, literal, sign, atom] = match;
    if (quoted !== undefined) tokens.push({ kind: "quoted", text: quoted });
    else if (literal !== undefined) tokens.push({ kind: "literal", text: literal });
    else if (sign !== undefined) tokens.push({ kind: "sign", text: sign });
    else if (encoded !== undefined || atom !== undefined) tokens.push({ kind: "atom", text: encoded ?? atom! });
  }
  return tokens;
}

/** Returns the place behind the comment that begins at `start`, with those in it; -1 when it does not end. */
function endOfComment(text: string, start: number): number {
  const signs = /[()]|\\[^]/g;
  signs.lastIndex = start;
  let depth = 0;
  for (let match = signs.exec(text); match !== null; match = signs.exec(text)) {
    if (match[0] === "(") depth++;
    else if (match[0] === ")" && --depth === 0) return signs.lastIndex;
  }
  return -1;
}

const isSign = (token: Token | undefined, text: string): boolean => token?.kind === "sign" && token.text === text;

/**
 * Splits at the commas outside of `<>`; the name of a group and its semicolon belong to no address. Null for a name with an `@`: a program that
 * knows no groups takes that for the address.
 */
function elementsOf(tokens: readonly Token[]): Token[][] | null {
  const elements: Token[][] = [[]];
  let inAngle = false;
  for (const token of tokens) {
    if (isSign(token, "<")) inAngle = true;
    else if (isSign(token, ">")) inAngle = false;
    if (inAngle || !(isSign(token, ",") || isSign(token, ";") || isSign(token, ":"))) elements.at(-1)!.push(token);
    else if (token.text === ":") {
      if (elements.at(-1)!.some((one) => isSign(one, "@"))) return null;
      elements[elements.length - 1] = [];
    } else elements.push([]);
  }
  return elements.filter((element) => element.length > 0);
}

/** Reads `local@domain`; null when it is something else or the domain is no name. */
function domainOf(tokens: readonly Token[]): string | null {
  const at = tokens.findIndex((token) => isSign(token, "@"));
  if (at <= 0 || !isDotted(tokens.slice(0, at)) || !isDotted(tokens.slice(at + 1))) return null;
  const domain = tokens.slice(at + 1);
  if (!domain.every(({ kind }) => kind === "atom" || kind === "sign")) return null;
  return normalName(domain.map(({ text }) => text).join(""));
}

/** Words with single dots between them. What has dots elsewhere is met, in local parts alone, and names no other domain. */
function isDotted(tokens: readonly Token[]): boolean {
  let afterWord = false;
  for (const token of tokens) {
    const isWord = token.kind !== "sign";
    if (!isWord && token.text !== ".") return false;
    if (isWord && afterWord) return false;
    afterWord = isWord;
  }
  return tokens.length > 0;
}

/** What stands in `<>`, without the route of RFC 5322 §4.4 in front: `@a,@b:`. */
function withoutRoute(tokens: readonly Token[]): readonly Token[] {
  if (!isSign(tokens[0], "@")) return tokens;
  const colon = tokens.findIndex((token) => isSign(token, ":"));
  return colon < 0 ? tokens : tokens.slice(colon + 1);
}

/**
 * Domains that unquoted words in front of `<>` name. RFC 5322 allows no `@` there, yet it is met, mostly as the same address twice; a program
 * that takes the first address would see this domain.
 */
function* domainsOfPhrase(tokens: readonly Token[]): Generator<string> {
  for (let at = 0; at < tokens.length; at++) {
    if (!isSign(tokens[at], "@")) continue;
    let name = "", end = at + 1;
    while (end < tokens.length && (tokens[end]!.kind === "atom" || isSign(tokens[end], "."))) {
      if (tokens[end]!.kind === "atom" && tokens[end - 1]!.kind === "atom") break;
      name += tokens[end++]!.text;
    }
    const domain = name.includes(".") ? normalName(name) : null;
    if (domain !== null) yield domain;
    at = end - 1;
  }
}

/** Adds the domains of what stands between two commas. Returns false when it is no address. */
function addDomains(element: readonly Token[], domains: Set<string>): boolean {
  const opens = element.findIndex((token) => isSign(token, "<"));
  let address = element;
  if (opens >= 0) {
    // Nothing but comments may stand behind `>`.
    if (!isSign(element.at(-1), ">")) return false;
    address = withoutRoute(element.slice(opens + 1, -1));
    for (const domain of domainsOfPhrase(element.slice(0, opens))) domains.add(domain);
  }
  const domain = domainOf(address);
  if (domain !== null) domains.add(domain);
  return domain !== null;
}

/**
 * Returns the domains, in lower case and A-labels, of all addresses in the unfolded value of a field; null when an address in it cannot be
 * read or has no domain name, or there are control characters. Takes time in proportion to the length; never throws.
 */
export function readDomains(value: string): ReadonlySet<string> | null {
  // For some programs a text ends at such a character.
  if (CONTROLS.test(value)) return null;
  const tokens = tokensOf(value);
  const elements = tokens === null ? null : elementsOf(tokens);
  if (elements === null) return null;
  const domains = new Set<string>();
  return elements.every((element) => addDomains(element, domains)) ? domains : null;
}
