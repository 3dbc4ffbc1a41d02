/**
 * The message authentication code (HMAC, RFC 2104, with SHA-256) of an envelope. Only lookup and queue have the key: what the rules have decided
 * about a recipient gets into the queue as it was decided, for the message it was decided for. The smtp isolate, which stands between them and is
 * exposed to the network, cannot name an action, a user, a destination or a command of its own, even when it is compromised.
 */

import type { Deliverable, EnvelopeContent, Mailbox, MessageId } from "../envelope/mod.ts";
import { Hmac } from "./hmac.ts";

/** What lookup was asked, and one of its answers: all that decides what is done for whom. */
export interface Decided
  extends
    Pick<EnvelopeContent, "sender" | "rcpt" | "dest" | "origin" | "action" | "internal">,
    Partial<Pick<Extract<Deliverable, { agent: "mda" }>, "user" | "subAddress" | "exec">> {
  readonly message: MessageId;
  readonly agent: EnvelopeContent["agent"];
}

/** Makes and checks the MACs of one key. */
export class EnvelopeMac {
  readonly #hmac: Hmac;

  /** `key` has MAC_KEY_OCTETS. Throws when it has not. */
  constructor(key: Uint8Array) {
    this.#hmac = new Hmac(key);
  }

  /** Returns the MAC of what was decided as 64 hexadecimal digits. */
  of(decided: Decided): string {
    return this.#hmac.of(encoding(decided));
  }

  /** Returns whether `text` is the MAC of what was decided. Takes the same time for every wrong one. */
  verify(decided: Decided, text: string | undefined): boolean {
    return this.#hmac.verify(encoding(decided), text);
  }
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
