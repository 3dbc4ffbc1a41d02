/** `user:password`: what a table holds for the label of a relay URL. Pure. */

/**
 * Reads `user:password`; the password may hold colons. Returns null for what is malformed: a part is empty or has a NUL, which AUTH PLAIN
 * could not carry (RFC 4616 §2).
 */
export function parseRelaySecret(value: string): { readonly user: string; readonly password: string } | null {
  const colon = value.indexOf(":");
  if (colon <= 0 || colon === value.length - 1 || value.includes("\0")) return null;
  return { user: value.slice(0, colon), password: value.slice(colon + 1) };
}
