/** Base64url without padding (RFC 4648 §5), as JOSE writes octets. */

/** Encodes octets, or text as UTF-8. */
export function base64url(octets: Uint8Array | string): string {
  const bytes = typeof octets === "string" ? new TextEncoder().encode(octets) : octets;
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
