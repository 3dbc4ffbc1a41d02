/** Text that came from outside, made safe for one line of a log or a listing. See vis(3); knows nothing of events. */

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
export const VIS_LIMIT = 4096;

/**
 * Encodes `text` as vis(3) with the C style does: control characters, double quotes, backslashes and every octet above 126 (of its UTF-8 form)
 * become printable ASCII, so that no client can forge a line or a field of the log. Cut at VIS_LIMIT.
 */
export function vis(text: string): string {
  const bounded = text.length > VIS_LIMIT ? text.slice(0, VIS_LIMIT) : text;
  if (CLEAN.test(bounded)) return bounded;
  let out = "";
  const bytes = utf8.encode(bounded);
  for (let i = 0; i < bytes.length && out.length < VIS_LIMIT; i++) out += visOctet(bytes[i]!, bytes[i + 1]);
  return out;
}

function visOctet(octet: number, next: number | undefined): string {
  const known = CSTYLE[octet];
  if (known !== undefined) return known;
  if (octet >= 32 && octet < 127) return String.fromCharCode(octet);
  // A digit behind \0 would read as part of an octal number.
  if (octet === 0) return next !== undefined && next >= 48 && next <= 57 ? "\\000" : "\\0";
  if (octet === 160) return "\\240";
  const low = octet & 127;
  const meta = octet >= 128 ? "M" : "";
  if (low === 127) return `\\${meta}^?`;
  if (low < 32) return `\\${meta}^${String.fromCharCode(low + 64)}`;
  return `\\M-${String.fromCharCode(low)}`;
}
