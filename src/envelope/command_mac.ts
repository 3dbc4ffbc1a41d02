/**
 * Lookup vouches for commands: an envelope that runs a program carries a seal that only lookup and queue can make. The smtp isolate, which
 * stands between them and talks to the public, cannot name a command of its own even when it has fallen.
 */

import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

/** What a seal covers: a command, and the action and user it runs for. */
export interface AuthorisedCommand {
  readonly action: string;
  readonly user: string;
  readonly subAddress: string;
  readonly exec: string;
}

/** Bytes of a key. Main draws a fresh one at each start: seals only live between RCPT and commit. */
export const SEAL_KEY_BYTES = 32;

/** The seal of a target, base64url. */
export function commandMac(key: Uint8Array, target: AuthorisedCommand): string {
  return digest(key, target).toString("base64url");
}

/** True when `text` is the seal of this target. Takes the same time for every wrong one. */
export function isCommandMac(key: Uint8Array, target: AuthorisedCommand, text: string): boolean {
  const expected = digest(key, target);
  const given = Buffer.from(text, "base64url");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function digest(key: Uint8Array, { action, user, subAddress, exec }: AuthorisedCommand) {
  return createHmac("sha256", key).update(JSON.stringify([action, user, subAddress, exec])).digest();
}
