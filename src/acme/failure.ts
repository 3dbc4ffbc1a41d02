/** What goes wrong with an authority: one error type, which says how soon to try again. */

/**
 * `unreached`: the authority or the network was not there; `refused`: it said no; `here`: something of this machine, such as a port that is taken;
 * `gone`: the account is not known there any more.
 */
export type FailureKind = "unreached" | "refused" | "here" | "gone";

/** An expected failure, with a sentence for the log. */
export class AcmeFailure extends Error {
  readonly kind: FailureKind;
  /** As the authority's Retry-After says; null when it says nothing. */
  readonly retryAfterMs: number | null;
  /** The last part of `urn:ietf:params:acme:error:…`; "" when there is none. */
  readonly type: string;

  constructor(
    kind: FailureKind,
    message: string,
    { retryAfterMs = null, type = "" }: { readonly retryAfterMs?: number | null; readonly type?: string } = {},
  ) {
    super(message);
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
    this.type = type;
  }
}

/** Takes the text of Retry-After, seconds or a date (RFC 9110 §10.2.3), and returns milliseconds from `now` on; null when there is none. */
export function retryAfter(text: string | undefined, now: number): number | null {
  if (text === undefined) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
