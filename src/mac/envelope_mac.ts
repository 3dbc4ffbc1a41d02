/**
 * The message authentication code (HMAC, RFC 2104, with SHA-256) of an envelope. Only lookup and queue have the key: what the rules have decided
 * about a recipient gets into the queue as it was decided, for the message it was decided for. The smtp isolate, which stands between them and is
 * exposed to the network, cannot name an action, a user, a destination or a command of its own, even when it is compromised.
 */

import { hash } from "node:crypto";
import type { Deliverable, EnvelopeContent, Mailbox, MessageId } from "../envelope/mod.ts";

/** What lookup was asked, and one of its answers: all that decides what is done for whom. */
export interface Decided
  extends
    Pick<EnvelopeContent, "sender" | "rcpt" | "dest" | "origin" | "action" | "internal">,
    Partial<Pick<Extract<Deliverable, { agent: "mda" }>, "user" | "subAddress" | "exec">> {
  readonly message: MessageId;
  readonly agent: EnvelopeContent["agent"];
}

/** Length of a key. Main draws a fresh one at each start: a MAC is only valid between RCPT and commit. */
export const ENVELOPE_MAC_KEY_OCTETS = 32;

/** Octets of a block and of a digest of SHA-256. */
const BLOCK_OCTETS = 64, DIGEST_OCTETS = 32;
/** RFC 2104 §2. */
const INNER_PAD = 0x36, OUTER_PAD = 0x5c;
/** Octets of text that fit into the buffer that is kept; longer ones get another. */
const KEPT_OCTETS = 8192;
/** Of UTF-8 for one unit of a string at most. */
const MAX_UNIT_OCTETS = 3;

const encoder = new TextEncoder();

/**
 * Makes and checks the MACs of one key. The digests are made by `hash()`, in hexadecimal digits: several times cheaper than the objects of
 * `createHmac()`.
 */
export class EnvelopeMac {
  readonly #inner: Uint8Array<ArrayBuffer>;
  readonly #outer: Uint8Array<ArrayBuffer>;

  /** `key` has ENVELOPE_MAC_KEY_OCTETS. Throws when it has not. */
  constructor(key: Uint8Array) {
    if (key.length !== ENVELOPE_MAC_KEY_OCTETS) throw new Error("The key of the envelopes has a wrong length");
    this.#inner = new Uint8Array(BLOCK_OCTETS + KEPT_OCTETS);
    this.#outer = new Uint8Array(BLOCK_OCTETS + DIGEST_OCTETS);
    for (let at = 0; at < BLOCK_OCTETS; at++) {
      const octet = key[at] ?? 0;
      this.#inner[at] = octet ^ INNER_PAD;
      this.#outer[at] = octet ^ OUTER_PAD;
    }
  }

  /** Returns the MAC of what was decided as 64 hexadecimal digits. */
  of(decided: Decided): string {
    return this.#digest(encoding(decided));
  }

  /** Returns whether `text` is the MAC of what was decided. Takes the same time for every wrong one. */
  verify(decided: Decided, text: string | undefined): boolean {
    const expected = this.of(decided);
    if (text?.length !== expected.length) return false;
    let difference = 0;
    for (let at = 0; at < expected.length; at++) difference |= expected.charCodeAt(at) ^ text.charCodeAt(at);
    return difference === 0;
  }

  #digest(text: string): string {
    const most = BLOCK_OCTETS + text.length * MAX_UNIT_OCTETS;
    const buffer = most <= this.#inner.length ? this.#inner : new Uint8Array(most);
    if (buffer !== this.#inner) buffer.set(this.#inner.subarray(0, BLOCK_OCTETS));
    const { written } = encoder.encodeInto(text, buffer.subarray(BLOCK_OCTETS));
    const inner = hash("sha256", buffer.subarray(0, BLOCK_OCTETS + written), "hex");
    for (let at = 0; at < DIGEST_OCTETS; at++) {
      this.#outer[BLOCK_OCTETS + at] = digit(inner, 2 * at) << 4 | digit(inner, 2 * at + 1);
    }
    return hash("sha256", this.#outer, "hex");
  }
}

/** The value of a lower-case hexadecimal digit. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code <= 0x39 ? code - 0x30 : code - 0x57;
}

/** One text for each decision, and none for two: a JSON list with a place for every field. */
function encoding(decided: Decided): string {
  const { message, agent, action, internal, sender, rcpt, dest, origin } = decided;
  const { address, hostname, helo, smtpname, tag, username, authenticated } = origin;
  const { user = null, subAddress = null, exec = null } = agent === "mda" ? decided : {};
  return JSON.stringify([
    message,
    agent,
    action,
    internal,
    ...parts(sender),
    ...parts(rcpt),
    ...parts(dest),
    user,
    subAddress,
    exec,
    address,
    hostname,
    helo,
    smtpname,
    tag,
    username,
    authenticated,
  ]);
}

function parts(mailbox: Mailbox | null): readonly (string | null)[] {
  return mailbox === null ? [null, null] : [mailbox.local, mailbox.domain];
}
