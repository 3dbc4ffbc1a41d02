/**
 * The MAC by which the smtp isolate and the queue show the signer that lookup has let a message out by an action with `dkim`. Only lookup and
 * signer have the key: a compromised smtp isolate has nothing signed that no rule lets out.
 */

import type { MessageId } from "../envelope/mod.ts";
import { Hmac } from "./hmac.ts";

/** Makes and checks the MACs of one key. */
export class SigningMac {
  readonly #hmac: Hmac;

  /** `key` has MAC_KEY_OCTETS. Throws when it has not. */
  constructor(key: Uint8Array) {
    this.#hmac = new Hmac(key);
  }

  /** Returns the MAC of a message that may be signed as 64 hexadecimal digits. */
  of(message: MessageId): string {
    return this.#hmac.of(message);
  }

  /** Returns whether `text` is the MAC of the message. */
  verify(message: MessageId, text: string): boolean {
    return this.#hmac.verify(message, text);
  }
}
