/** The macro language of SPF records, RFC 7208 §7: its syntax, and what a text with macros stands for. Asks nothing; see evaluation.ts. */

/** `c`, `r` and `t` stand in explanations alone. */
export type MacroLetter = "s" | "l" | "o" | "d" | "i" | "p" | "h" | "v" | "c" | "r" | "t";

/** RFC 7208 §7.1: text as it stands, one of `%%`, `%_` and `%-`, or what depends on the message. */
export type MacroPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "escape"; readonly text: string }
  | {
    readonly kind: "macro";
    readonly letter: MacroLetter;
    /** Written as a capital: what it stands for is escaped as in URLs. */
    readonly escaped: boolean;
    /** How many parts from the right are kept; null for all. */
    readonly keep: number | null;
    readonly reverse: boolean;
    readonly delimiters: string;
  };

/** What the letters stand for. */
export type MacroValues = Readonly<Record<MacroLetter, string>>;

/** A name in a record that is made of a text with macros, see `domainTarget`. */
export type DomainSpec = readonly MacroPart[];

const PART = /%\{([slodiphvcrt])(\d*)(r?)([-.+,/_=]*)\}|%([%_-])|([\x21-\x24\x26-\x7e]+)/iy;
const PART_OR_SPACE = /%\{([slodiphvcrt])(\d*)(r?)([-.+,/_=]*)\}|%([%_-])|([\x20-\x24\x26-\x7e]+)/iy;
const ESCAPES: Readonly<Record<string, string>> = { "%": "%", "_": " ", "-": "%20" };

/** More than a name that is cut to 253 octets can have of its right side. */
const ENOUGH_OCTETS = 4096;

/** Takes a macro-string of RFC 7208 §7.1, with `spaces` an explain-string, and returns its parts; null when it is none. */
export function parseMacroString(text: string, { spaces }: { readonly spaces: boolean }): readonly MacroPart[] | null {
  const pattern = spaces ? PART_OR_SPACE : PART;
  const parts: MacroPart[] = [];
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const [, letter, digits = "", reverse, delimiters = "", escape, plain] = pattern.exec(text) ?? [];
    if (letter !== undefined) {
      const keep = digits === "" ? null : Number(digits);
      // RFC 7208 §7.3: no parts at all is an error.
      if (keep === 0) return null;
      const lower = letter.toLowerCase() as MacroLetter;
      parts.push({
        kind: "macro",
        letter: lower,
        escaped: letter !== lower,
        keep,
        reverse: reverse !== "",
        delimiters,
      });
    } else if (escape !== undefined) parts.push({ kind: "escape", text: ESCAPES[escape]! });
    else if (plain !== undefined) parts.push({ kind: "text", text: plain });
    else return null;
  }
  return parts;
}

/** Takes a domain-spec of RFC 7208 §7.1, which ends in a macro or in a top-level label, and returns its parts; null when it is none. */
export function parseDomainSpec(text: string): DomainSpec | null {
  const parts = parseMacroString(text, { spaces: false });
  const last = parts?.at(-1);
  if (parts === null || last === undefined) return null;
  if (parts.some((part) => part.kind === "macro" && "crt".includes(part.letter))) return null;
  return last.kind !== "text" || endsInTopLabel(last.text) ? parts : null;
}

/** `"." toplabel ["."]`: letters, digits and hyphens, not digits alone, no hyphen at either end. */
function endsInTopLabel(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  const dot = name.lastIndexOf("."), label = name.slice(dot + 1);
  return dot >= 0 && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label) && /[a-z-]/i.test(label);
}

/** Tells whether a text needs the validated name of the client, which costs questions. */
export function usesValidatedName(parts: readonly MacroPart[]): boolean {
  return parts.some((part) => part.kind === "macro" && part.letter === "p");
}

/**
 * The name that a domain-spec stands for, in lower case without a last dot, of 253 octets at most: labels on the left go (RFC 7208 §7.3).
 * malformed: not a name that the DNS could have. unmatchable: it has the local-part of a sender beyond ASCII, which matches nothing (RFC 8616
 * §4).
 */
export type DomainTarget =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "malformed" }
  | { readonly kind: "unmatchable" };

/** Returns the name that a domain-spec stands for. */
export function domainTarget(spec: DomainSpec, values: MacroValues): DomainTarget {
  let name = "";
  // From the right: what is on the left of so many octets would be cut off below.
  for (let at = spec.length - 1; at >= 0 && name.length < ENOUGH_OCTETS; at--) {
    name = expandPart(spec[at]!, values) + name;
  }
  if (/[^\x20-\x7e]/.test(name)) {
    const unmatchable = spec.some((part) => part.kind === "macro" && "sl".includes(part.letter));
    return { kind: unmatchable ? "unmatchable" : "malformed" };
  }
  name = name.toLowerCase();
  if (name.endsWith(".")) name = name.slice(0, -1);
  while (name.length > 253 && name.includes(".")) name = name.slice(name.indexOf(".") + 1);
  return isQueryable(name) ? { kind: "name", name } : { kind: "malformed" };
}

/** Tells whether the DNS could have a name: labels of 1 to 63 octets, 253 in all (RFC 1035 §2.3.4). */
export function isQueryable(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => label.length >= 1 && label.length <= 63);
}

/** Returns what an explanation says, cut at `limit`; null when it would have other than printable characters of ASCII. */
export function expandExplanation(
  parts: readonly MacroPart[],
  values: MacroValues,
  { limit }: { readonly limit: number },
): string | null {
  let text = "";
  for (const part of parts) {
    text += expandPart(part, values);
    if (text.length > limit) break;
  }
  text = text.slice(0, limit);
  return /^[\x20-\x7e]*$/.test(text) ? text : null;
}

function expandPart(part: MacroPart, values: MacroValues): string {
  if (part.kind !== "macro") return part.text;
  const value = values[part.letter];
  const plain = part.keep === null && !part.reverse && part.delimiters === "";
  const text = plain ? value : transform(value, part);
  return part.escaped ? escapeUrl(text) : text;
}

/** RFC 7208 §7.3: split, turned round, the last ones taken, joined with dots. */
function transform(
  value: string,
  { keep, reverse, delimiters }: {
    readonly keep: number | null;
    readonly reverse: boolean;
    readonly delimiters: string;
  },
): string {
  const separators = delimiters === "" ? "." : delimiters;
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at <= value.length; at++) {
    if (at < value.length && !separators.includes(value[at]!)) continue;
    parts.push(value.slice(start, at));
    start = at + 1;
  }
  if (reverse) parts.reverse();
  return (keep === null ? parts : parts.slice(-keep)).join(".");
}

/** RFC 7208 §7.3: everything but the unreserved characters of RFC 3986 §2.3. */
function escapeUrl(text: string): string {
  let escaped = "";
  for (const octet of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(octet);
    escaped += /[A-Za-z0-9._~-]/.test(character) ? character : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
