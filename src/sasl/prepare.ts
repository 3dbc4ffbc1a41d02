/**
 * SASLprep, RFC 4013: one form of user names and passwords, whatever keyboard they were typed on. Pure. The tables are those of RFC 3454, but
 * for the unassigned code points of Unicode 3.2: letters and pictures that came later may be in a password.
 */

import { hasLeftToRight } from "./letters.ts";

/** Tables C.1.2 and B.1: other spaces are spaces (U+200B, which is in both, too), and what is not seen is nothing. */
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
const INVISIBLE = /[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/gu;

/** Tables C.2 to C.9: controls, private use, no characters, half pairs, what is not for plain text, what changes others, tags. */
const PROHIBITED = new RegExp(
  [
    "[\\u0000-\\u001f\\u007f-\\u009f\\u06dd\\u070f\\u180e\\u200c\\u200d\\u2028\\u2029\\u2060-\\u2063\\u206a-\\u206f\\ufeff]",
    "[\\ufff9-\\ufffd\\u{1d173}-\\u{1d17a}\\u2ff0-\\u2ffb\\u0340\\u0341\\u200e\\u200f\\u202a-\\u202e\\u{e0001}\\u{e0020}-\\u{e007f}]",
    "\\p{Private_Use}",
    "\\p{Surrogate}",
    "\\p{Noncharacter_Code_Point}",
  ].join("|"),
  "u",
);

/** Table D.1: letters that are written from right to left. */
const RIGHT_TO_LEFT =
  "\\u05be\\u05c0\\u05c3\\u05d0-\\u05ea\\u05f0-\\u05f4\\u061b\\u061f\\u0621-\\u063a\\u0640-\\u064a" +
  "\\u066d-\\u066f\\u0671-\\u06d5\\u06dd\\u06e5\\u06e6\\u06fa-\\u06fe\\u0700-\\u070d\\u0710\\u0712-\\u072c\\u0780-\\u07a5" +
  "\\u07b1\\u200f\\ufb1d\\ufb1f-\\ufb28\\ufb2a-\\ufb36\\ufb38-\\ufb3c\\ufb3e\\ufb40\\ufb41\\ufb43\\ufb44\\ufb46-\\ufbb1" +
  "\\ufbd3-\\ufd3d\\ufd50-\\ufd8f\\ufd92-\\ufdc7\\ufdf0-\\ufdfc\\ufe70-\\ufe74\\ufe76-\\ufefc";
const SOME_RIGHT_TO_LEFT = new RegExp(`[${RIGHT_TO_LEFT}]`, "u");
const ENDS_RIGHT_TO_LEFT = new RegExp(`^[${RIGHT_TO_LEFT}](?:.*[${RIGHT_TO_LEFT}])?$`, "su");

/**
 * `text` as it is compared; null when it has what RFC 4013 §2.3 or §2.4 prohibits, or when nothing is left of it. `stored`: what is kept may
 * hold no code points that are not assigned (§2.5); what is compared with it may.
 */
export function prepare(text: string, use: "query" | "stored"): string | null {
  if (/^[\x20-\x7e]+$/.test(text)) return text;
  if (use === "stored" && /\p{Unassigned}/u.test(text)) return null;
  const prepared = text.replace(SPACES, " ").replace(INVISIBLE, "").normalize("NFKC");
  if (prepared === "" || PROHIBITED.test(prepared)) return null;
  // RFC 3454 §6: text of both directions at once could look like another.
  if (!SOME_RIGHT_TO_LEFT.test(prepared)) return prepared;
  return ENDS_RIGHT_TO_LEFT.test(prepared) && !hasLeftToRight(prepared) ? prepared : null;
}
