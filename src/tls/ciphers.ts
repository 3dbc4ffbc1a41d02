/** How a TLS session is written in Received and in the log. */

/** `VERSION:CIPHER:BITS`, as in `TLSv1.3:TLS_AES_256_GCM_SHA384:256`. Absent values are `unknown`. */
export function cipherText(version: string | null, cipher: string | undefined): string {
  const name = cipher ?? "unknown";
  return `${version ?? "unknown"}:${name}:${keyBits(name)}`;
}

/** Bits of the symmetric key. The names carry them, but for ChaCha20 (RFC 7539: 256) and 3DES (168, never agreed on from TLS 1.2 on). */
function keyBits(cipher: string): number {
  if (cipher.includes("CHACHA20")) return 256;
  const bits = /(?:AES|ARIA|CAMELLIA)_?(128|256)/.exec(cipher);
  return bits === null ? 0 : Number(bits[1]);
}
