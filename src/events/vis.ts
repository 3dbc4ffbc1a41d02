/** Text that came from outside, made safe for one line of a log or a listing. See vis(3); independent of events. */

const utf8 = new TextEncoder();
/** Printable ASCII without the characters that `vis` escapes: most text needs no work. */
const CLEAN = /^[ !#-[\]-~]*$/;
const CSTYLE: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/** No encoded text is longer than this, in characters: a log line is bounded whatever a client sent. */
export const MAX_VIS_CHARS = 4096;

/**
 * Encodes `text` as vis(3) with the C style does: control characters, double quotes, backslashes and every octet above 126 (of its UTF-8 form)
 * become printable ASCII, so that no client can forge a line or a field of the log. Cut at VIS_LIMIT.
 */
export function vis(text: string): string {
  const bounded = text.length > MAX_VIS_CHARS ? text.slice(0, MAX_VIS_CHARS) : text;
  if (CLEAN.test(bounded)) return bounded;
  let out = "";
  const bytes = utf8.encode(bounded);
  for (let i = 0; i < bytes.length && out.length < MAX_VIS_CHARS; i++) {
    out += visOctet(bytes[i]!, isDigit(bytes[i + 1]) ? "digit" : "other");
  }
  return out;
}

function isDigit(octet: number | undefined): boolean {
  return octet !== undefined && octet >= 48 && octet <= 57;
}

function visOctet(octet: number, next: "digit" | "other"): string {
  const known = CSTYLE[octet];
  if (known !== undefined) return known;
  if (octet >= 32 && octet < 127) return String.fromCharCode(octet);
  // A digit behind \0 would read as part of an octal number.
  if (octet === 0) return next === "digit" ? "\\000" : "\\0";
  if (octet === 160) return "\\240";
  const low = octet & 127;
  const meta = octet >= 128 ? "M" : "";
  if (low === 127) return `\\${meta}^?`;
  if (low < 32) return `\\${meta}^${String.fromCharCode(low + 64)}`;
  return `\\M-${String.fromCharCode(low)}`;
}

/**
 * What a terminal, a log or a reader may take for something else than text: C0 and C1 controls, DEL, line and paragraph separators, marks that
 * turn the direction of text, characters without a width, halves of characters.
 */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|\p{Surrogate}/gu;

/**
 * Makes one harmless line of `text`, whatever is in it: what could act on a terminal or begin a new line is encoded as vis(3) does, everything
 * that can be read stays. It is the last station of every line of the log, and of what the tools print of others' words.
 */
export function safeLine(text: string): string {
  return text.replace(
    UNSAFE,
    (character) => Array.from(utf8.encode(character), (octet) => visOctet(octet, "digit")).join(""),
  );
}

/** JSON of `value` on one line that acts on no terminal: what safeLine() encodes is written as `\\uXXXX`, and reads back as it was. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The same for text of many lines: their ends and tabs stay. */
export function safeText(text: string): string {
  return text.split(/([\n\t])/).map((part, index) => index % 2 === 1 ? part : safeLine(part)).join("");
}
