/** Whether a refusal is about the number of recipients, RFC 5321 §4.5.3.1.10: then others may be taken in another transaction. Pure. */

import type { Reply } from "./reply.ts";

/** RFC 3463 §3.6: "too many recipients". */
export const TOO_MANY_CODE = "4.5.3";
/** RFC 5321 §4.5.3.1.8: recipients that every server takes in one transaction. */
const MUST_TAKE = 100;

/**
 * Returns "said" for a reply that names the number of recipients: an enhanced code x.5.3, or those words in a 4xx or 552; with 421 the server leaves over it. Returns "perhaps"
 * for 452, and for 552 without an enhanced code: behind an accepted recipient that is what they mean (§4.5.3.1.10), but they are also said of
 * a full mailbox or disk. Returns null for all others. `accepted`: recipients of the transaction that were accepted before it; behind as many as every server
 * has to take (§4.5.3.1.8) the words count with any 5xx.
 */
export function tooManyRecipients({ code, text }: Reply, accepted = 0): "said" | "perhaps" | null {
  if (code < 400) return null;
  const enhanced = /^[245]\.(\d{1,3}\.\d{1,3})(?: |$)/.exec(text)?.[1];
  if (enhanced === "5.3") return "said";
  const worded = /\btoo many (?:\S+ )?(?:recipients|rcpts?\b|addresses)/i.test(text);
  if (worded && accepted >= MUST_TAKE) return "said";
  if (code > 500 && code !== 552) return null;
  if (code === 552 && enhanced !== undefined) return null;
  if (worded) return "said";
  return code === 452 || code === 552 ? "perhaps" : null;
}

/**
 * Returns true for a refusal of a whole message that its number of recipients is the reason of: "said", and by its code. In 450 and 451 such words
 * are about the recipients of an hour, which fewer in a transaction do not change.
 */
export function tooManyForMessage(reply: Reply): boolean {
  const byCode = [421, 452, 552].includes(reply.code) || /^[245]\.5\.3(?: |$)/.test(reply.text);
  return byCode && tooManyRecipients(reply) === "said";
}

/** How many recipients a server takes in one transaction, learnt from its answers to RCPT in their order. */
export class RecipientLimit {
  #accepted = 0;
  /** Recipients that were accepted when the first was too many; null when none was, or others were accepted behind it. */
  #at: number | null = null;
  #refused = 0;
  #named = false;

  accepted(): void {
    this.#accepted++;
    this.#at = null;
    this.#refused = 0;
    this.#named = false;
  }

  refused(how: "said" | "perhaps"): void {
    this.#at ??= this.#accepted;
    this.#refused++;
    this.#named ||= how === "said";
  }

  /** The message as a whole had too many of them. */
  halve(): void {
    this.#at = Math.floor(this.#accepted / 2);
    this.#named = true;
  }

  /** null when nothing is sure: a single 452 may be about one full mailbox. */
  get most(): number | null {
    return this.#at !== null && this.#at > 0 && (this.#named || this.#refused > 1) ? this.#at : null;
  }
}
