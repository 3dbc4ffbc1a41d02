/** The secret behind the salts of users who do not exist (RFC 5802 §9). It outlives a restart: a salt that changed would reveal who exists. */

import { Fatal } from "./fatal.ts";
import { systemReason } from "../events/mod.ts";

const KEY_BYTES = 32;

/** The key in the file `scram.key` of the spool, which is made when there is none. Throws Fatal. */
export function readSaltKey(spool: string): Uint8Array {
  const path = `${spool}/scram.key`;
  try {
    const known = Deno.readFileSync(path);
    if (known.length === KEY_BYTES) return known;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new Fatal(`cannot read ${path}: ${systemReason(error)}`);
  }
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  try {
    Deno.writeFileSync(path, key, { mode: 0o600 });
  } catch (error) {
    throw new Fatal(`cannot write ${path}: ${systemReason(error)}`);
  }
  return key;
}
