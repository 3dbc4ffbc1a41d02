/** The secret behind the salts of users who do not exist (RFC 5802 §9). It outlives a restart: a salt that changed would reveal who exists. */

import fs from "node:fs";
import { Fatal } from "./fatal.ts";
import { systemReason } from "../events/mod.ts";

const KEY_BYTES = 32;
/** Neither a link nor a pipe that the user of the queue has put there is opened or waited for: the folder is theirs. */
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/**
 * Returns the key in the file `scram.key` of the spool, which is made when there is none; what is no file of this user, or has another size, is replaced.
 * The spool may belong to the user of the queue, who cannot read the file. Throws Fatal.
 */
export function readSaltKey(spool: string): Uint8Array {
  const path = `${spool}/scram.key`;
  try {
    const known = readOwn(path);
    if (known !== null) return known;
  } catch (error) {
    throw new Fatal(`cannot read ${path}: ${systemReason(error)}`);
  }
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  try {
    fs.rmSync(path, { force: true, recursive: true });
    Deno.writeFileSync(path, key, { mode: 0o600, createNew: true });
  } catch (error) {
    throw new Fatal(`cannot write ${path}: ${systemReason(error)}`);
  }
  return key;
}

/** Null when there is no key of ours. */
function readOwn(path: string): Uint8Array | null {
  let descriptor: number;
  try {
    descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    // A link: ELOOP.
    if (["ENOENT", "ELOOP"].includes((error as { code?: string }).code ?? "")) return null;
    throw error;
  }
  try {
    const info = fs.fstatSync(descriptor);
    if (!info.isFile() || info.uid !== Deno.uid() || info.nlink !== 1 || info.size !== KEY_BYTES) return null;
    const key = new Uint8Array(KEY_BYTES);
    return fs.readSync(descriptor, key, 0, KEY_BYTES, 0) === KEY_BYTES ? key : null;
  } finally {
    fs.closeSync(descriptor);
  }
}
