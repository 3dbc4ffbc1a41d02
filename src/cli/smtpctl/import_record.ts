/**
 * What `smtpctl import` and `discover FOLDER` have taken in: the file `imported` of the spool, one line per message, so that a command given twice
 * does not double mail. A line with `-` in front takes an earlier one back. Independent of the queue.
 */

import { createHash } from "node:crypto";
import fs from "node:fs";

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = fs.constants;
/** Characters of a key: 128 bits of SHA-256 as hex. */
const KEY_CHARS = 32;
const PIECE_BYTES = 65_536;

/** Names one message of one source: `source` is the id of an export, or "" for a spool; `body` is the path of the message's text. */
export function importKey(source: string, id: string, body: string): string {
  const hash = createHash("sha256").update(`${source}\n${id}\n`);
  const piece = new Uint8Array(PIECE_BYTES);
  using file = Deno.openSync(body);
  for (let count: number | null; (count = file.readSync(piece)) !== null;) hash.update(piece.subarray(0, count));
  return hash.digest("hex").slice(0, KEY_CHARS);
}

export class ImportRecord {
  readonly #descriptor: number;
  readonly #keys: Set<string>;

  /** `path` is made when it is missing. Throws when it is a link or cannot be opened. */
  constructor(path: string) {
    // Never through a link: the folder is the daemon's.
    this.#descriptor = fs.openSync(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
    this.#keys = readKeys(fs.readFileSync(this.#descriptor, "utf8"));
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    if (this.#keys.has(key)) return;
    this.#keys.add(key);
    fs.writeSync(this.#descriptor, `${key}\n`);
  }

  /** It was not taken in after all. */
  remove(key: string): void {
    if (this.#keys.delete(key)) fs.writeSync(this.#descriptor, `-${key}\n`);
  }

  /** Returns when what was added is on stable storage. */
  sync(): void {
    fs.fsyncSync(this.#descriptor);
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

function readKeys(text: string): Set<string> {
  const keys = new Set<string>();
  for (const line of text.split("\n")) {
    if (line.startsWith("-")) keys.delete(line.slice(1));
    else if (line !== "") keys.add(line);
  }
  return keys;
}
