/** What a client has sent and its session has not used yet: octets of commands and of message data. Independent of sessions; see connection.ts. */

import { CommandLines, joined } from "./lines.ts";
import type { Command } from "./session/command.ts";

const NOTHING = new Uint8Array(0);

export class ClientInput {
  bytes: Uint8Array = NOTHING;
  /** Where in `bytes` what is not used begins. */
  position = 0;
  readonly #lines = new CommandLines();
  #waiting: Command | null = null;

  /** True when all octets are used. */
  get empty(): boolean {
    return this.position === this.bytes.length;
  }

  /** Adds a read. Its octets belong to the caller again after `keep`. */
  add(bytes: Uint8Array): void {
    this.bytes = this.empty ? bytes : joined(this.bytes.subarray(this.position), bytes);
    this.position = 0;
  }

  /** Makes a copy of what is left of the read that was added last. */
  keep(read: Uint8Array): void {
    if (this.bytes !== read) return;
    this.bytes = new Uint8Array(read.subarray(this.position));
    this.position = 0;
  }

  /** The next command: the one that waits, or a whole line. Null when there is none yet; a string is the reply to input that ends the session. */
  command(): Command | string | null {
    if (this.#waiting !== null) return this.#waiting;
    const next = this.#lines.next(this.bytes, this.position);
    this.position = this.#lines.position;
    return next;
  }

  /** A command that must wait for the answers to earlier ones: `command` gives it again. Null: none waits any more. */
  set waiting(command: Command | null) {
    this.#waiting = command;
  }

  /** True while something waits that cannot be dealt with. */
  get blocked(): boolean {
    return !this.empty || this.#waiting !== null;
  }

  /** Lets a buffer go that is used up: it must not be kept as long as an idle session. */
  trim(): void {
    if (this.empty) this.#drop();
  }

  /** Forgets everything. */
  clear(): void {
    this.#drop();
    this.#waiting = null;
  }

  #drop(): void {
    this.bytes = NOTHING;
    this.position = 0;
  }
}
