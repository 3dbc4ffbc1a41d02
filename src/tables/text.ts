/** Keys of tables as text: folding and the limit of their length. Knows nothing of what a key means. */

/** Longest key that is looked up, in characters; a longer one is an error of the lookup, not a miss. */
export const MAX_KEY = 1023;

/**
 * Lower-cases A–Z and nothing else. String.toLowerCase() alone would also fold characters such as U+212A (Kelvin sign) into ASCII
 * letters, and an address in raw UTF-8 (RFC 6531) could then pass for another one.
 */
export function lowerCase(text: string): string {
  const folded = text.toLowerCase();
  if (folded === text) return text;
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 0x7f) return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  }
  return folded;
}

/** A lookup that could not be made: neither found nor missing. The mail operation that needed it fails temporarily. */
export class LookupError {
  /** For the operator's log. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}
