/**
 * The message authentication code (HMAC, RFC 2104) of a delivery's command: an envelope that runs a program carries one that only lookup and
 * queue can make. The smtp isolate, which stands between them and is exposed to the network, cannot name a command of its own even when it is
 * compromised.
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** What the MAC covers: a command, and the action and user it runs for. */
export interface AuthorisedCommand {
  readonly action: string;
  readonly user: string;
  readonly subAddress: string;
  readonly exec: string;
}

/** Length of a key. Main draws a fresh one at each start: a MAC is only valid between RCPT and commit. */
export const COMMAND_MAC_KEY_OCTETS = 32;

/** Returns the MAC of a target as base64url. */
export function commandMac(key: Uint8Array, target: AuthorisedCommand): string {
  return digest(key, target).toString("base64url");
}

/** Returns whether `text` is the MAC of this target. Takes the same time for every wrong one. */
export function isCommandMac(key: Uint8Array, target: AuthorisedCommand, text: string): boolean {
  const expected = digest(key, target);
  const given = Buffer.from(text, "base64url");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function digest(key: Uint8Array, { action, user, subAddress, exec }: AuthorisedCommand) {
  return createHmac("sha256", key).update(JSON.stringify([action, user, subAddress, exec])).digest();
}
