/** Comparing what must not be guessed. */

import type { AdminToken } from "../protocol/mod.ts";
import { isExpired } from "./sessions.ts";

/** A token has 46 characters; what is much longer is not looked at. */
const MAX_TOKEN_CHARS = 200;

/**
 * Finds the token whose hash is that of `text`; null for none, or one that has expired. SHA-256 without salt or rounds is enough: a token is 256 random bits,
 * which nobody finds from its hash by trying. All hashes are compared whole, so that the time says nothing.
 */
export async function findToken(
  text: string,
  tokens: readonly AdminToken[],
  now: number,
): Promise<AdminToken | null> {
  if (text.length > MAX_TOKEN_CHARS) return null;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hash = new Uint8Array(digest).toHex();
  let found: AdminToken | null = null;
  for (const token of tokens) if (sameSecret(hash, token.hash)) found = token;
  return found === null || isExpired(found, now) ? null : found;
}

/** Compares two texts in a time that depends on their lengths only. */
export function sameSecret(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return difference === 0;
}
