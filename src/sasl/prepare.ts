/** SASLprep, RFC 4013: one form of user names and passwords, whatever keyboard they were typed on. Pure. */

import saslprep from "@mongodb-js/saslprep";

/**
 * `text` as it is compared; null when it has what RFC 4013 §2.3 or §2.4 prohibits, or when nothing is left of it. `stored`: what is kept may
 * hold no code points that Unicode 3.2 does not assign (RFC 4013 §2.5), unless NFKC makes assigned ones of them; what is compared with it may.
 */
export function prepare(text: string, use: "query" | "stored"): string | null {
  if (/^[\x20-\x7e]+$/.test(text)) return text;
  try {
    const prepared = saslprep(text, { allowUnassigned: use === "query" });
    return prepared === "" ? null : prepared;
  } catch {
    return null;
  }
}
