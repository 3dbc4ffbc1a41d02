/** What `smtpctl show message --json` prints. */

import type { Terminal } from "../terminal.ts";

/** A message as one object of JSON, written as it comes. */
export class MessageDocument {
  readonly #id: string;
  readonly #terminal: Terminal;
  #begun = false;
  /** Octets that make no whole group of base64 yet. */
  #rest: Uint8Array = new Uint8Array();

  constructor(id: string, terminal: Terminal) {
    this.#id = id;
    this.#terminal = terminal;
  }

  add(bytes: Uint8Array): void {
    if (!this.#begun) this.#terminal.out(`{"message":"${this.#id}","content":"`);
    this.#begun = true;
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const whole = all.length - all.length % 3;
    this.#terminal.out(all.subarray(0, whole).toBase64());
    this.#rest = all.slice(whole);
  }

  end(): void {
    this.add(new Uint8Array());
    this.#terminal.out(`${this.#rest.toBase64()}"}\n`);
  }
}
