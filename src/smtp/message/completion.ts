/** What the header of a submitted message is completed with (RFC 6409 §8), and how its fields are recognised. Pure; see header.ts and resent.ts. */

/** How a message that was submitted here is completed, RFC 6409 §8. */
export interface Completion {
  /** Name for addresses without a domain. */
  readonly domain: Uint8Array;
  /** Values of missing fields. `from` gives null for a bounce, which nobody signs. */
  readonly fields: { date(): string; messageId(): string; from(): string | null };
  /** Stands for every address in From; null: they stay. */
  readonly masquerade?: Uint8Array | null;
}

/** True when the lower-case ASCII `name` stands at `start`, in any case. */
export function is(buffer: Uint8Array, start: number, name: string): boolean {
  for (let at = 0; at < name.length; at++) {
    const code = buffer[start + at]!;
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if (lower !== name.charCodeAt(at)) return false;
  }
  return true;
}
